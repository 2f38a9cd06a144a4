"""Writing a large file whose sha256 is known when it is written."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pytest_aprqa.artifact.atomic_file import atomic_file
from pytest_aprqa.artifact.digest import remember

_SYNC_BYTES = 1 << 25
"""Bytes after which the disk is told to begin, so that little is left to wait for at the end."""

_WORTH_A_THREAD = 1 << 16


class HashedFile:
    """A file that is hashed and brought to disk while it is written.

    What was written last is kept until it is hashed, which is before the next write.
    """

    def __init__(self, file: BinaryIO, pool: ThreadPoolExecutor) -> None:
        self._file = file
        self._pool = pool
        self._sha256 = hashlib.sha256()
        self._hashing: Future[None] | None = None
        self._unsynced = 0
        self._syncing: Future[None] | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._wait_for_hash()
        if len(data) < _WORTH_A_THREAD:
            self._sha256.update(data)
        else:
            self._hashing = self._pool.submit(self._sha256.update, data)
        self._file.write(data)
        self._unsynced += len(data)
        if self._unsynced > _SYNC_BYTES and (self._syncing is None or self._syncing.done()):
            self._unsynced = 0
            self._syncing = self._pool.submit(os.fdatasync, self._file.fileno())

    def _wait_for_hash(self) -> None:
        if self._hashing is not None:
            self._hashing.result()
            self._hashing = None

    def settle(self) -> None:
        """Wait for what is under way; raise OSError when the disk refused."""
        self._wait_for_hash()
        if self._syncing is not None:
            self._syncing.result()

    @property
    def sha256(self) -> str:
        """Of all that was written, in lower-case hexadecimal."""
        return self._sha256.hexdigest()


@contextmanager
def hashed_file(path: Path) -> Iterator[HashedFile]:
    """Yield a file as `atomic_file` does; its sha256 need not be computed again.

    Raises:
        ArtifactError: ENVIRONMENT, when the file system refuses: disk full, no permission.
    """
    with ThreadPoolExecutor(2, thread_name_prefix="sha256") as pool:
        with atomic_file(path) as file:
            hashed = HashedFile(file, pool)
            try:
                yield hashed
            finally:
                hashed.settle()
        remember(path, hashed.sha256)
