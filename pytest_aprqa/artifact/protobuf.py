"""The wire format of protocol buffers, read within its bounds."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

_LONGEST_VARINT = 10  # bytes of 64 bits, seven at a time
_FIXED = {1: 8, 5: 4}


class WireType(IntEnum):
    """How a field's value lies in the message."""

    VARINT = 0
    FIXED64 = 1
    BYTES = 2
    FIXED32 = 5


Value = int | memoryview


def fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """Yield number and value of each field: a varint as it is unsigned, all else as its bytes.

    Source: protobuf.dev/programming-guides/encoding. Nothing is copied.

    Raises:
        ValueError: a field passes the end of the message, or is of a wire type that is not
            (groups, which nobody writes any more, included).
    """
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        number, kind = key >> 3, key & 7
        if not number:
            raise ValueError(f"field 0 before byte {position}")
        if kind == WireType.VARINT:
            value, position = _varint(message, position)
            yield number, value
            continue
        if kind == WireType.BYTES:
            size, position = _varint(message, position)
        elif kind in _FIXED:
            size = _FIXED[kind]
        else:
            raise ValueError(f"wire type {kind} of field {number} at byte {position}")
        if size > len(message) - position:
            left = len(message) - position
            raise ValueError(f"field {number} takes {size} bytes, {left} are left")
        yield number, message[position : position + size]
        position += size


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return a number and the position behind it."""
    value = 0
    for index, byte in enumerate(message[position : position + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, position + index + 1
    raise ValueError(f"a number at byte {position} has no end")
