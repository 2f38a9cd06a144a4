"""A file mapped into memory, read-only, with the refusals every container shares."""

from __future__ import annotations

import ctypes
import mmap
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt

from pytest_aprqa.artifact.foreign import LIBC
from pytest_aprqa.artifact.malformed import environment, malformed
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.model_file import require_regular

_PICKLE_PROTOCOLS = range(2, 6)
_ZIP_MAGIC = b"PK\x03\x04"

_MOST_HANDED_OUT = 1 << 26
"""Bytes, handed out last, whose pages stay in this process's memory."""

_BROUGHT = 1 << 24
"""Bytes after which a key press can end the reading of a slow disk."""

_SAMPLED = 1 << 22
_FEW_OF = 16
"""Bytes of which one page is asked for whether it is in memory; and of how many pages one may not be."""


def map_file(path: Path) -> npt.NDArray[np.uint8]:
    """Return the bytes of a file as a read-only view of a memory map.

    The map lives as long as a view of it. The system is told that it will be read in order, so
    that it reads far ahead.

    Raises:
        ArtifactError: NOT_FOUND, ENVIRONMENT (not readable), MALFORMED (empty, not a file).
    """
    try:
        if not require_regular(path):
            raise malformed(path, "G0-FILE", "is empty (0 bytes)")
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        mapped.madvise(mmap.MADV_SEQUENTIAL)
    except FileNotFoundError:
        raise ArtifactError(
            ArtifactFault.NOT_FOUND, f"{path}: no such file", where=path.name
        ) from None
    except OSError as error:
        raise environment(path, error) from error
    return np.frombuffer(mapped, np.uint8)


def give_back(data: npt.NDArray[np.uint8]) -> None:
    """Take a view of a map out of this process's memory; it is mapped again when it is looked at.

    The system keeps the pages cached. Arrays that do not lie in a map stay as they are.
    """
    base: object = data
    while isinstance(base, np.ndarray):
        base = base.base
    mapped = base.obj if isinstance(base, memoryview) else base
    if isinstance(mapped, mmap.mmap) and data.size:
        begin = data.ctypes.data - np.frombuffer(mapped, np.uint8).ctypes.data
        page = begin - begin % mmap.PAGESIZE
        mapped.madvise(mmap.MADV_DONTNEED, page, begin + data.size - page)


@contextmanager
def given_back(*views: npt.NDArray[np.uint8]) -> Iterator[tuple[npt.NDArray[np.uint8], ...]]:
    """Yield views that are looked at once."""
    try:
        yield views
    finally:
        for view in views:
            give_back(view)


def bring(data: npt.NDArray[np.uint8]) -> None:
    """Look at every page of a view, in order: that is how the system reads fastest from a disk.

    Of several threads that read a file, one at a time should. Advice to read ahead is no
    substitute: what it brings comes in small pieces, which take longer to read and to map.
    """
    for begin in range(0, data.size, _BROUGHT):
        data[begin : begin + _BROUGHT : mmap.PAGESIZE].max(initial=0)


def is_cached(data: npt.NDArray[np.uint8]) -> bool:
    """Whether nearly all of a view of a map is in the system's memory.

    One page in every few mebibytes is asked for. The system may take back a few at any time.
    """
    first = data.ctypes.data
    addresses = range(first - first % mmap.PAGESIZE, first + data.size, _SAMPLED)
    return sum(not _is_resident(address) for address in addresses) <= len(addresses) // _FEW_OF


def _is_resident(address: int) -> bool:
    seen = ctypes.c_ubyte()
    failed = LIBC.mincore(ctypes.c_void_p(address), ctypes.c_size_t(1), ctypes.byref(seen))
    return not failed and bool(seen.value & 1)


class HandedOut:
    """The views of maps that were handed out last; the pages of older ones are given back."""

    def __init__(self) -> None:
        self._views: deque[npt.NDArray[np.uint8]] = deque()
        self._bytes = 0
        self._lock = Lock()

    def add(self, data: npt.NDArray[np.uint8]) -> None:
        with self._lock:
            self._views.append(data)
            self._bytes += data.size
            while self._bytes - self._views[0].size > _MOST_HANDED_OUT:
                oldest = self._views.popleft()
                self._bytes -= oldest.size
                give_back(oldest)


def is_pickle(head: bytes) -> bool:
    """Whether a file that begins with these 16 bytes is a pickle or a torch archive of one.

    The length of a SafeTensors header can begin with the same bytes; it ends with zeros and the
    brace of the header follows.
    """
    if head[4:9] == b"\0\0\0\0{":
        return False
    if head.startswith(_ZIP_MAGIC):
        return True
    return len(head) > 1 and head[0] == 0x80 and head[1] in _PICKLE_PROTOCOLS


def refuse_pickle(path: Path, head: bytes) -> None:
    """Raise ArtifactError when a file that begins so is a pickle: loading one runs its code."""
    if is_pickle(head):
        raise malformed(
            path,
            "G0-PICKLE",
            "is a Python pickle or torch archive, which can run code when loaded and is never "
            "opened; convert it to SafeTensors",
        )
