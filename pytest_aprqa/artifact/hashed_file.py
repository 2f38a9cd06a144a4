"""Writing a large file whose sha256 and CRC-32 are known when it is written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pytest_aprqa.artifact.atomic_file import atomic_file
from pytest_aprqa.artifact.crc32 import crc32
from pytest_aprqa.artifact.digest import remember

_WORTH_A_THREAD = 1 << 16
_PIECE = 1 << 20
"""Bytes that are still in the core's own cache when their CRC-32 is taken after they were written."""


class HashedFile:
    """A file that is hashed while it is written.

    What was written last is kept until it is hashed, which is before the next write.

    Attributes:
        crc32: of all that was written.
    """

    def __init__(self, file: BinaryIO, pool: ThreadPoolExecutor) -> None:
        self._file = file
        self._pool = pool
        self._sha256 = hashlib.sha256()
        self._hashing: Future[None] | None = None
        self.crc32 = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.settle()
        if len(data) < _WORTH_A_THREAD:
            self._sha256.update(data)
        else:
            self._hashing = self._pool.submit(self._sha256.update, data)
        view = memoryview(data)
        for begin in range(0, len(view), _PIECE):
            piece = view[begin : begin + _PIECE]
            self._file.write(piece)
            self.crc32 = crc32(piece, self.crc32)

    def settle(self) -> None:
        """Wait for what is under way."""
        if self._hashing is not None:
            self._hashing.result()
            self._hashing = None

    @property
    def sha256(self) -> str:
        """Of all that was written, in lower-case hexadecimal."""
        return self._sha256.hexdigest()


@contextmanager
def hashed_file(path: Path) -> Iterator[HashedFile]:
    """Yield a file as `atomic_file` does, unsynced; its sha256 need not be computed again.

    The disk is not waited for: what a loss of power takes, the sha256 in the record of a conversion
    tells before the file is used again.

    Raises:
        ArtifactError: ENVIRONMENT, when the file system refuses: disk full, no permission.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="sha256") as pool:
        with atomic_file(path, synced=False) as file:
            hashed = HashedFile(file, pool)
            try:
                yield hashed
            finally:
                hashed.settle()
        remember(path, hashed.sha256)
