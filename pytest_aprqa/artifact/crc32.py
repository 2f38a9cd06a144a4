"""CRC-32/IEEE of large data, several times as fast as byte tables give it.

A CRC is a remainder in the polynomials over GF(2), where squaring only spreads the exponents. The
polynomial of CRC-32 divides x^91601 + x^64522 + x^9425 + 1, and with that its 64th power: eight
bytes may be removed when they are added, by exclusive or, to those 27079, 82176 and 91601 times
eight bytes behind them. Data of any length so becomes 91601 words with the same remainder, by three
operations that numpy does on whole blocks; zlib does the rest. The exponents are the first of a
polynomial with so few terms, which a search over the powers of x finds. A smaller power would do,
but its blocks are so short that threads get in each other's way.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

_WORD = 8
_SPAN, _NEAR, _FAR = 91601 * _WORD, (91601 - 64522) * _WORD, (91601 - 9425) * _WORD
_HISTORY_BLOCKS = 4
_WORTH_FOLDING = 4 * _SPAN
_PART = 1 << 26
_POLYNOMIAL = 0xEDB88320
_ONE = 1 << 31
"""The polynomial 1: as zlib has it, the highest power stands in the lowest bit."""


def crc32(data: Bytes, value: int = 0) -> int:
    """Return what `zlib.crc32` returns.

    Args:
        data: contiguous.
        value: the CRC-32 of what comes before.
    """
    if data.size < _WORTH_FOLDING:
        return zlib.crc32(data.data, value)
    blocks = (data.size - _SPAN) // _NEAR
    folded = blocks * _NEAR
    # A CRC begins with its register in the first four bytes; the tail's then begins with zeros.
    register = np.frombuffer((value ^ 0xFFFFFFFF).to_bytes(4, "little"), np.uint8)
    removed = _removed(data[:folded], register)
    tail = data[folded : folded + _SPAN].copy()
    for distance in (_NEAR, _FAR, _SPAN):
        tail[:distance] ^= removed[_SPAN - distance :]
    return zlib.crc32(data[folded + _SPAN :].data, zlib.crc32(tail.data, 0xFFFFFFFF))


def _removed(data: Bytes, register: Bytes) -> Bytes:
    """Return the last bytes of data as they were when they were removed."""
    history = np.zeros(_SPAN + _HISTORY_BLOCKS * _NEAR, np.uint8)
    end = _SPAN
    for start in range(0, data.size, _NEAR):
        if end == history.size:
            history[:_SPAN] = history[-_SPAN:]
            end = _SPAN
        block = history[end : end + _NEAR]
        np.bitwise_xor(data[start : start + _NEAR], history[end - _NEAR : end], out=block)
        for distance in (_FAR, _SPAN):
            block ^= history[end - distance : end - distance + _NEAR]
        if not start:
            block[:4] ^= register
        end += _NEAR
    return history[end - _SPAN : end]


def crc32_in_parts(data: Bytes, seen: Callable[[int, int], None] = lambda begin, end: None) -> int:
    """Return the CRC-32 of data, on all cores.

    Args:
        data: contiguous.
        seen: told the begin and end of each part that will not be looked at again.
    """

    def part(begin: int) -> tuple[int, int]:
        end = min(begin + _PART, data.size)
        found = crc32(data[begin:end])
        seen(begin, end)
        return found, end - begin

    total = 0
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="crc32") as pool:
        for found, size in pool.map(part, range(0, data.size, _PART)):
            total = combined(total, found, size)
    return total


def combined(first: int, second: int, size: int) -> int:
    """Return the CRC-32 of two pieces of data, one behind the other.

    Args:
        first: the CRC-32 of the one in front.
        second: the CRC-32 of the other.
        size: bytes of the second.
    """
    return _product(first, _power_of_x(8 * size)) ^ second


def _product(one: int, other: int) -> int:
    """Multiply two remainders."""
    product = 0
    for bit in _bits(one):
        if bit:
            product ^= other
        other = other >> 1 ^ (_POLYNOMIAL if other & 1 else 0)
    return product


def _bits(value: int) -> Iterator[int]:
    for position in range(31, -1, -1):
        yield value >> position & 1


def _power_of_x(exponent: int) -> int:
    """Return the remainder of x to a power, by squaring."""
    power, square = _ONE, _ONE >> 1
    while exponent:
        if exponent & 1:
            power = _product(power, square)
        square = _product(square, square)
        exponent >>= 1
    return power
