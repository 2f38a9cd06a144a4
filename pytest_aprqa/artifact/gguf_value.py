"""GGUF key-value pairs with their types."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class GgufType(IntEnum):
    """The value types of GGUF, by their ids in the file."""

    UINT8 = 0
    INT8 = 1
    UINT16 = 2
    INT16 = 3
    UINT32 = 4
    INT32 = 5
    FLOAT32 = 6
    BOOL = 7
    STRING = 8
    ARRAY = 9
    UINT64 = 10
    INT64 = 11
    FLOAT64 = 12


SCALAR_CODES: dict[GgufType, str] = {
    GgufType.UINT8: "B",
    GgufType.INT8: "b",
    GgufType.UINT16: "H",
    GgufType.INT16: "h",
    GgufType.UINT32: "I",
    GgufType.INT32: "i",
    GgufType.FLOAT32: "f",
    GgufType.BOOL: "?",
    GgufType.UINT64: "Q",
    GgufType.INT64: "q",
    GgufType.FLOAT64: "d",
}
"""Codes of `struct` (and of numpy dtypes) for the scalar types."""


@dataclass(frozen=True, slots=True)
class GgufValue:
    """One key-value pair.

    Attributes:
        key: dotted lower-case name, for instance "general.architecture".
        type: of the value.
        value: a number, a bool, a str, or a list of one of these.
        element: type of the elements, for an array.
    """

    key: str
    type: GgufType
    value: Any
    element: GgufType | None = None
