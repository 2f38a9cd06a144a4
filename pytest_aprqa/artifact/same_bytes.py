"""Whether two tensors hold the same bytes, at the speed at which memory can be read."""

from __future__ import annotations

import ctypes

import numpy as np
import numpy.typing as npt

from pytest_aprqa.artifact.foreign import LIBC, address_of
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.artifact.tensor_pieces import CHUNK_BYTES
from pytest_aprqa.artifact.tensor_statistics import is_finite

Bytes = npt.NDArray[np.uint8]


def same_bytes(one: Bytes, other: Bytes) -> bool:
    """Whether flat data is the same, without a copy of it."""
    return one.size == other.size and all(
        equal(one[begin : begin + CHUNK_BYTES], other[begin : begin + CHUNK_BYTES])
        for begin in range(0, one.size, CHUNK_BYTES)
    )


def same_finite_values(one: Bytes, other: Bytes, dtype: DType) -> bool:
    """Whether two tensors hold the same bytes of an unquantised type, and no NaN or infinity."""
    return one.size == other.size and all(
        equal(one[begin : begin + CHUNK_BYTES], other[begin : begin + CHUNK_BYTES])
        and is_finite(one[begin : begin + CHUNK_BYTES], dtype)
        for begin in range(0, one.size, CHUNK_BYTES)
    )


def equal(one: Bytes, other: Bytes) -> bool:
    """Whether two chunks of data of one length are the same.

    Numpy would write down for each number whether it is, which takes nearly twice as long.
    """
    one, other = np.ascontiguousarray(one), np.ascontiguousarray(other)
    size = ctypes.c_size_t(one.size)
    return int(LIBC.memcmp(address_of(one), address_of(other), size)) == 0
