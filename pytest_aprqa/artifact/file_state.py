"""The state of a file: what tells whether it was changed since it was read."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

_SETTLED_SECONDS = 1.0
"""Age of a file whose next change must show in its modification time."""


def state_of(path: Path) -> str:
    """Return device, inode, size and modification time of a file. Raises OSError."""
    status = path.stat()
    return f"{status.st_dev:x}-{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"


def settled_state(paths: Iterable[Path]) -> str:
    """Return the state of files, or "" when one is too young to tell its next change by.

    Raises:
        OSError: a file is not there.
    """
    latest = time.time() - _SETTLED_SECONDS
    files = list(paths)
    if any(path.stat().st_mtime > latest for path in files):
        return ""
    return " ".join(map(state_of, files))
