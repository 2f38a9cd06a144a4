"""CRC-32/IEEE of large data on all cores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

from pytest_aprqa.artifact.mapped_file import bring
from pytest_aprqa.artifact.side_by_side import side_by_side

Bytes = npt.NDArray[np.uint8]

_PART = 1 << 24

_FEW = np.zeros(64, np.uint16)


def crc32(data: Bytes | memoryview, before: int = 0) -> int:
    """Return the CRC-32 of data; isal computes without the interpreter's lock.

    Args:
        data: contiguous.
        before: the CRC-32 of what goes before it.
    """
    found: int = isal_zlib.crc32(data, before)
    # isal leaves the processor's widest registers in use, which numpy gives back. Else SHA-256 is
    # slower by a quarter in this thread and in those it starts: 1.35 GB/s, not 1.80, on an EPYC.
    _FEW.max()
    return found


@dataclass(frozen=True, slots=True)
class Summed:
    """A part of a file whose CRC-32 is known."""

    begin: int
    size: int
    crc32: int


def crc32_in_parts(
    data: Bytes, seen: Callable[[Bytes], None] = lambda part: None, known: Iterable[Summed] = ()
) -> int:
    """Return the CRC-32 of large data, computed by several threads.

    Args:
        data: contiguous.
        seen: told each part that will not be looked at again.
        known: parts that need not be looked at; none overlaps another.
    """
    total = position = 0
    for part in sorted(known, key=lambda part: part.begin):
        total = _continued(total, data[position : part.begin], seen)
        total = isal_zlib.crc32_combine(total, part.crc32, part.size)
        position = part.begin + part.size
    return _continued(total, data[position:], seen)


def _continued(before: int, data: Bytes, seen: Callable[[Bytes], None]) -> int:
    """Return the CRC-32 of what one is known of and of the data that comes after it."""
    if data.size <= _PART:
        found = crc32(data, before)
        seen(data)
        return found

    def parts() -> Iterator[Callable[[], tuple[int, int]]]:
        for begin in range(0, data.size, _PART):
            part = data[begin : begin + _PART]
            bring(part)
            yield partial(crc_of, part)

    def crc_of(part: Bytes) -> tuple[int, int]:
        found = crc32(part)
        seen(part)
        return found, part.size

    for found, size in side_by_side(parts()):
        before = isal_zlib.crc32_combine(before, found, size)
    return before
