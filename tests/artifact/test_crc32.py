"""A fast CRC-32 must be the CRC-32."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_aprqa.artifact.crc32 import combined, crc32, crc32_in_parts

MIB = 1 << 20
LEAST = 4 * 8 * 91601  # from here on data is folded


@pytest.mark.parametrize(
    "size", [0, 1, MIB, LEAST - 1, LEAST, LEAST + 1, LEAST + 216_632, 5 * MIB + 5]
)
@pytest.mark.parametrize("value", [0, 1, 0xFFFFFFFF, 0x12345678])
def test_it_is_what_zlib_says_at_every_length_and_from_every_start(size: int, value: int) -> None:
    data = np.random.default_rng(size).integers(0, 256, size, np.uint8)
    assert crc32(data, value) == zlib.crc32(data.data, value)


@settings(max_examples=20, deadline=None)
@given(size=st.integers(LEAST, 2 * LEAST), place=st.integers(0), bit=st.integers(0, 7))
def test_every_flipped_bit_changes_it(size: int, place: int, bit: int) -> None:
    data = np.zeros(size, np.uint8)
    sound = crc32(data)
    data[place % size] ^= 1 << bit
    assert crc32(data) == zlib.crc32(data.data) != sound


@given(first=st.binary(max_size=300), second=st.binary(max_size=300))
def test_that_of_two_pieces_is_that_of_the_whole(first: bytes, second: bytes) -> None:
    whole = combined(zlib.crc32(first), zlib.crc32(second), len(second))
    assert whole == zlib.crc32(first + second)


@pytest.mark.parametrize("size", [0, 1000, 150 * MIB + 3])
def test_parts_on_all_cores_give_the_same_and_are_told_of_once(size: int) -> None:
    data = np.resize(np.random.default_rng(0).integers(0, 256, MIB + 7, np.uint8), size)
    seen: list[tuple[int, int]] = []
    assert crc32_in_parts(data, lambda begin, end: seen.append((begin, end))) == zlib.crc32(
        data.data
    )
    assert sum(end - begin for begin, end in seen) == size
