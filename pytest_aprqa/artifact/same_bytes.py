"""Whether two tensors hold the same bytes, at the speed at which memory can be read."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.artifact.tensor_statistics import CHUNK_BYTES, is_finite

Bytes = npt.NDArray[np.uint8]


def same_bytes(one: Bytes, other: Bytes) -> bool:
    """Whether flat data is the same, without a copy of it."""
    return one.size == other.size and all(
        _equal(one[begin : begin + CHUNK_BYTES], other[begin : begin + CHUNK_BYTES])
        for begin in range(0, one.size, CHUNK_BYTES)
    )


def same_finite_values(one: Bytes, other: Bytes, dtype: DType) -> bool:
    """Whether two tensors hold the same bytes of an unquantised type, and no NaN or infinity."""
    return one.size == other.size and all(
        _equal(one[begin : begin + CHUNK_BYTES], other[begin : begin + CHUNK_BYTES])
        and is_finite(one[begin : begin + CHUNK_BYTES], dtype)
        for begin in range(0, one.size, CHUNK_BYTES)
    )


def _equal(one: Bytes, other: Bytes) -> bool:
    if one.size % 8 == 0:
        return np.array_equal(one.view(np.uint64), other.view(np.uint64))
    return np.array_equal(one, other)
