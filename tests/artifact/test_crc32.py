"""A CRC-32 in parts must be the CRC-32."""

from __future__ import annotations

import zlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aprqa.artifact.crc32 import Summed, crc32, crc32_in_parts

MIB = 1 << 20


@pytest.mark.parametrize("size", [0, 1, 1000, 64 * MIB, 150 * MIB + 3])
def test_parts_on_all_cores_give_the_same_and_are_told_of_once(size: int) -> None:
    data = np.resize(np.random.default_rng(0).integers(0, 256, MIB + 7, np.uint8), size)
    seen: list[int] = []
    assert crc32_in_parts(data, lambda part: seen.append(part.size)) == zlib.crc32(data.data)
    assert sum(seen) == size


@given(
    data=st.binary(max_size=60), cuts=st.lists(st.integers(0, 60), max_size=6), odd=st.booleans()
)
def test_known_parts_are_not_looked_at(data: bytes, cuts: list[int], odd: bool) -> None:
    whole = np.frombuffer(data, np.uint8)
    ends = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    known = [
        Summed(begin, end - begin, crc32(whole[begin:end]))
        for number, (begin, end) in enumerate(pairwise(ends))
        if number % 2 == odd
    ]
    changed = whole.copy()
    for part in known:
        changed[part.begin : part.begin + part.size] ^= 255
    assert crc32_in_parts(changed, known=known[::-1]) == zlib.crc32(data)


@pytest.mark.parametrize("place", [0, 1, 64 * MIB - 1, 64 * MIB, 70 * MIB - 1])
def test_a_flipped_bit_changes_it_wherever_it_is(place: int) -> None:
    data = np.zeros(70 * MIB, np.uint8)
    sound = crc32_in_parts(data)
    data[place] ^= 8
    assert crc32_in_parts(data) != sound
