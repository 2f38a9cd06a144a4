"""Writing a large file whose CRC-32 is known when it is written, and its sha256 soon after."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from mmap import mmap
from pathlib import Path
from queue import SimpleQueue
from typing import BinaryIO

from pytest_aprqa.artifact.atomic_file import atomic_file
from pytest_aprqa.artifact.crc32 import crc32
from pytest_aprqa.artifact.digest import remember
from pytest_aprqa.artifact.in_background import in_background

_PIECE = 1 << 20
"""Bytes that are still in the core's own cache when their CRC-32 is taken after they were written."""

_READ = 1 << 20


class HashedFile:
    """A file that is hashed while it is written, by a thread that reads what was written.

    Attributes:
        crc32: of all that was written.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = 0
        self._ends: SimpleQueue[int | None] = SimpleQueue()
        handle = os.dup(file.fileno())
        hashing = partial(sha256_up_to, handle, self._ends)
        self.sha256 = in_background("sha256", hashing, daemon=True)
        self.crc32 = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        for begin in range(0, len(view), _PIECE):
            piece = view[begin : begin + _PIECE]
            self._file.write(piece)
            self.crc32 = crc32(piece, self.crc32)
            self._size += len(piece)
            if len(piece) == _PIECE:
                self._tell()

    def end(self) -> None:
        """Say that no more will be written."""
        self._tell()
        self._ends.put(None)

    def give_up(self) -> None:
        """Say that the sha256 is not wanted any more."""
        self._ends.put(None)

    def _tell(self) -> None:
        self._file.flush()
        self._ends.put(self._size)


@contextmanager
def hashed_file(path: Path) -> Iterator[HashedFile]:
    """Yield a file as `atomic_file` does, unsynced; its sha256 need not be computed again.

    The disk is not waited for, nor is the sha256: who asks for it gets it when it is there. What a
    loss of power takes, the sha256 in the record of a conversion tells before the file is used
    again.

    Raises:
        ArtifactError: ENVIRONMENT, when the file system refuses: disk full, no permission.
    """
    with atomic_file(path, synced=False) as file:
        hashed = HashedFile(file)
        try:
            yield hashed
            hashed.end()
        except BaseException:
            hashed.give_up()
            raise
    remember(path, hashed.sha256)


def sha256_up_to(handle: int, ends: SimpleQueue[int | None]) -> str:
    """Return the sha256 of a file that grows.

    Args:
        handle: of the file; closed at the end.
        ends: how long it is, in bytes, whenever it has grown; None when it grows no more.

    Raises:
        OSError: it is shorter than was said, or the file system refuses.
    """
    try:
        sha256, position = hashlib.sha256(), 0
        buffer = memoryview(mmap(-1, _READ))  # at the start of a page, where copies are faster
        for end in iter(ends.get, None):
            while position < end:
                count = os.preadv(handle, [buffer[: end - position]], position)
                if not count:
                    raise OSError(errno.EIO, "it was cut while it was read")
                sha256.update(buffer[:count])
                position += count
        return sha256.hexdigest()
    finally:
        os.close(handle)
