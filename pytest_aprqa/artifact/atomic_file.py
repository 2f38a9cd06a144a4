"""Writing a file so that it is either there whole or not there at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pytest_aprqa.artifact.malformed import environment


@contextmanager
def atomic_file(path: Path, *, synced: bool = True) -> Iterator[BinaryIO]:
    """Yield a file that takes the name `path` when the block ends without an exception.

    It is written beside its target under another name, brought to disk, then renamed. After an
    exception nothing of it is left.

    Args:
        path: of the file.
        synced: wait until the disk has it. Without, a loss of power soon after may leave less of
            it, as of any file that was copied; the end of this process costs nothing.

    Raises:
        ArtifactError: ENVIRONMENT, when the file system refuses: disk full, no permission.
    """
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            if synced:
                os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
        temporary = None
    except OSError as error:
        raise environment(path, error) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()


def _umask() -> int:
    """Return the process's umask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
