"""CRC-32/IEEE of large data on all cores."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

Bytes = npt.NDArray[np.uint8]

_PART = 1 << 26


def crc32_in_parts(data: Bytes, seen: Callable[[int, int], None] = lambda begin, end: None) -> int:
    """Return the CRC-32 of data; isal computes without the interpreter's lock.

    Args:
        data: contiguous.
        seen: told the begin and end of each part that will not be looked at again.
    """

    def part(begin: int) -> tuple[int, int]:
        end = min(begin + _PART, data.size)
        found = isal_zlib.crc32(data[begin:end])
        seen(begin, end)
        return found, end - begin

    total = 0
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="crc32") as pool:
        for found, size in pool.map(part, range(0, data.size, _PART)):
            total = isal_zlib.crc32_combine(total, found, size)
    return total
