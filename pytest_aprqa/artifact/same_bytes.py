"""Whether two tensors hold the same bytes, at the speed at which memory can be read."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.artifact.tensor_statistics import is_finite

Bytes = npt.NDArray[np.uint8]

_CHUNK = 1 << 21
"""Bytes that stay in the cache while they are looked at."""


def same_bytes(one: Bytes, other: Bytes) -> bool:
    """Whether flat data is the same, without a copy of it."""
    return one.size == other.size and all(
        _equal(one[begin : begin + _CHUNK], other[begin : begin + _CHUNK])
        for begin in range(0, one.size, _CHUNK)
    )


def same_finite_values(one: Bytes, other: Bytes, dtype: DType) -> bool:
    """Whether two tensors hold the same bytes of an unquantised type, and no NaN or infinity."""
    return one.size == other.size and all(
        _equal(one[begin : begin + _CHUNK], other[begin : begin + _CHUNK])
        and is_finite(one[begin : begin + _CHUNK], dtype)
        for begin in range(0, one.size, _CHUNK)
    )


def _equal(one: Bytes, other: Bytes) -> bool:
    if one.size % 8 == 0:
        return np.array_equal(one.view(np.uint64), other.view(np.uint64))
    return np.array_equal(one, other)
