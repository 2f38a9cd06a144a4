"""A CRC-32 in parts must be the CRC-32."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from pytest_aprqa.artifact.crc32 import crc32_in_parts

MIB = 1 << 20


@pytest.mark.parametrize("size", [0, 1, 1000, 64 * MIB, 150 * MIB + 3])
def test_parts_on_all_cores_give_the_same_and_are_told_of_once(size: int) -> None:
    data = np.resize(np.random.default_rng(0).integers(0, 256, MIB + 7, np.uint8), size)
    seen: list[int] = []
    assert crc32_in_parts(data, lambda part: seen.append(part.size)) == zlib.crc32(data.data)
    assert sum(seen) == size


@pytest.mark.parametrize("place", [0, 1, 64 * MIB - 1, 64 * MIB, 70 * MIB - 1])
def test_a_flipped_bit_changes_it_wherever_it_is(place: int) -> None:
    data = np.zeros(70 * MIB, np.uint8)
    sound = crc32_in_parts(data)
    data[place] ^= 8
    assert crc32_in_parts(data) != sound
