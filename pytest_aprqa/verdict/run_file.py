"""Read and write evidence.json."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from pytest_aprqa.verdict.record import RecordError, Run
from pytest_aprqa.words import Tier


def read_run(path: Path) -> Run:
    """Read a run. Raises RecordError when there is none, or it is not readable as one."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error.strerror}") from error
    return Run.from_json(content, where=str(path))


def is_certificate(path: Path, tier: Tier) -> bool:
    """Whether a file holds a run of a tier that came to its end, as far as a glance can tell."""
    try:
        run: Any = json.loads(path.read_bytes())
        return not run["interrupted"] and run["plan"]["tier"] == tier
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False


def write_run(path: Path, run: Run) -> None:
    """Write a run; a crash leaves the old file or the new one. Raises OSError."""
    replace_content(path, run.to_json().encode("ascii"))


def replace_content(path: Path, content: bytes) -> None:
    """Replace the content of a file, durably and at once: readers see the old or the new.

    Permissions of an existing file are kept. Raises OSError and leaves the old file as it was.
    """
    try:
        _replace(path, content)
    except OSError as error:
        raise type(error)(
            error.errno, error.strerror, str(path)
        ) from None  # not the temporary file


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
