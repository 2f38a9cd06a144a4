"""Equality of tensors, byte for byte."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_aprqa.artifact.same_bytes import same_bytes, same_finite_values
from pytest_aprqa.artifact.tensor_file import DType

SIZES = [0, 1, 7, 8, (1 << 21) - 2, 1 << 21, (1 << 22) + 6]


def bfloat16(size: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """Bytes of finite numbers: no exponent has all its bits set."""
    return np.random.default_rng(size).integers(0, 0x7F, size, np.uint8)


@pytest.mark.parametrize("size", SIZES)
def test_a_copy_is_the_same(size: int) -> None:
    assert same_bytes(bfloat16(size), bfloat16(size).copy())


@pytest.mark.parametrize("size", SIZES[1:])
@pytest.mark.parametrize("place", [0, -1])
def test_one_changed_byte_is_seen(size: int, place: int) -> None:
    other = bfloat16(size)
    other[place] ^= 1
    assert not same_bytes(bfloat16(size), other)


def test_another_length_is_not_the_same() -> None:
    assert not same_bytes(bfloat16(8), bfloat16(9)[:9])


@pytest.mark.parametrize(
    ("dtype", "pattern"),
    [
        (DType.BF16, b"\x80\x7f"),
        (DType.BF16, b"\x80\xff"),
        (DType.F16, b"\x00\x7c"),
        (DType.F32, b"\x00\x00\xc0\x7f"),
    ],
)
def test_what_is_not_finite_is_not_waved_through(dtype: DType, pattern: bytes) -> None:
    values = np.zeros(1 << 22, np.uint8)
    assert same_finite_values(values, values.copy(), dtype)
    values[-len(pattern) :] = np.frombuffer(pattern, np.uint8)
    assert not same_finite_values(values, values.copy(), dtype)


def test_quantised_types_must_be_decoded_to_know() -> None:
    assert not same_finite_values(np.zeros(34, np.uint8), np.zeros(34, np.uint8), DType.Q8_0)
