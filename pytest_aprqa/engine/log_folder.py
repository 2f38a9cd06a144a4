"""A temporary folder for what engines print, which goes with the process it is for."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

_PREFIX = "aprqa-logs-"


class LogFolder:
    """A fresh folder, locked for as long as its process lives.

    What a process that was killed has left is removed when the next one makes its folder: such a
    folder is no longer locked.
    """

    def __init__(self) -> None:
        root = Path(tempfile.gettempdir())
        # Nobody may sweep between the making of a folder and its locking.
        with _Lock(root):
            _remove_forsaken(root)
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
            self._lock = _Lock(self.path)
            self._lock.acquire()

    def close(self) -> None:
        """Remove the folder and what is in it. Safe to call twice."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.release()


def sweep() -> None:
    """Remove the folders that killed processes have left."""
    root = Path(tempfile.gettempdir())
    with _Lock(root):
        _remove_forsaken(root)


class _Lock:
    """A lock on a folder itself, so that it leaves no file; of no effect where that is impossible."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor = -1

    def acquire(self, *, wait: bool = True) -> bool:
        """Return whether the lock was got."""
        try:
            self._descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:
            self.release()
            return False
        return True

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *exc: object) -> None:
        self.release()


def _remove_forsaken(root: Path) -> None:
    for folder in root.glob(f"{_PREFIX}*"):
        lock = _Lock(folder)
        if lock.acquire(wait=False):
            shutil.rmtree(folder, ignore_errors=True)
            lock.release()
