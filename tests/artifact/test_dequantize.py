from __future__ import annotations

import gguf
import numpy as np
import pytest

from pytest_aprqa.artifact.dtypes import block_of, to_float32
from pytest_aprqa.artifact.tensor_file import DType

PLACES_OF_HALVES = {
    DType.Q4_0: (0,),
    DType.Q4_1: (0, 2),
    DType.Q8_0: (0,),
    DType.Q4_K: (0, 2),
    DType.Q6_K: (208,),
}


def random_blocks(dtype: DType, count: int) -> np.ndarray:
    rng = np.random.default_rng(count)
    blocks = rng.integers(0, 256, (count, block_of(dtype).nbytes), dtype=np.uint8)
    for place in PLACES_OF_HALVES[dtype]:
        scales = rng.standard_normal((count, 1)).astype(np.float16)
        blocks[:, place : place + 2] = scales.view(np.uint8)
    return blocks


@pytest.mark.parametrize("dtype", PLACES_OF_HALVES)
@pytest.mark.parametrize("count", [1, 2, 7, 5000])
def test_our_kernels_give_the_bits_of_the_reference_decoder(dtype: DType, count: int) -> None:
    blocks = random_blocks(dtype, count)
    before = blocks.copy()
    ours = to_float32(blocks.reshape(-1), dtype, (count, block_of(dtype).elements))
    reference = gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType[dtype.value])
    np.testing.assert_array_equal(ours.view(np.uint32), reference.view(np.uint32))
    np.testing.assert_array_equal(blocks, before)


@pytest.mark.parametrize("dtype", PLACES_OF_HALVES)
@pytest.mark.parametrize("scale", [np.nan, np.inf])
def test_a_broken_scale_shows_in_every_value_of_its_block(dtype: DType, scale: float) -> None:
    blocks = random_blocks(dtype, 3)
    place = PLACES_OF_HALVES[dtype][0]
    blocks[1, place : place + 2] = np.array([scale], np.float16).view(np.uint8)
    values = to_float32(blocks.reshape(-1), dtype, (3, block_of(dtype).elements))
    assert np.isfinite(values[[0, 2]]).all()
    assert not np.isfinite(values[1]).any()


def test_bfloat16_is_the_upper_half_of_float32() -> None:
    values = np.array([1, -2.5, 0, np.inf], np.float32)
    halves = (values.view(np.uint32) >> 16).astype(np.uint16)
    assert to_float32(halves.view(np.uint8), DType.BF16, (4,)).tolist() == values.tolist()


@pytest.mark.parametrize(
    ("dtype", "code", "value"),
    [
        (DType.F8_E4M3, 0x00, 0.0),
        (DType.F8_E4M3, 0x01, 2.0**-9),
        (DType.F8_E4M3, 0x08, 2.0**-6),
        (DType.F8_E4M3, 0x38, 1.0),
        (DType.F8_E4M3, 0x7E, 448.0),
        (DType.F8_E4M3, 0xB8, -1.0),
        (DType.F8_E5M2, 0x01, 2.0**-16),
        (DType.F8_E5M2, 0x3C, 1.0),
        (DType.F8_E5M2, 0x7B, 57344.0),
        (DType.F8_E5M2, 0x7C, np.inf),
    ],
)
def test_eight_bit_floats_have_their_published_values(
    dtype: DType, code: int, value: float
) -> None:
    assert to_float32(np.array([code], np.uint8), dtype, (1,))[0] == value


def test_eight_bit_floats_have_their_nans() -> None:
    codes = np.array([0x7F, 0xFF], np.uint8)
    assert np.isnan(to_float32(codes, DType.F8_E4M3, (2,))).all()


def apr_q4_block(scale: float, nibbles: list[int]) -> np.ndarray:
    packed = np.zeros(16, np.uint8)
    for place, nibble in enumerate(nibbles):
        packed[place // 2] |= nibble << 4 * (place % 2)
    return np.concatenate([np.array([scale], np.float16).view(np.uint8), packed])


def test_apr_q4_pairs_neighbours_in_a_byte() -> None:
    raw = apr_q4_block(0.5, [8, 9, 0, 15])
    assert to_float32(raw, DType.APR_Q4, (4,)).tolist() == [0, 0.5, -4, 3.5]


@pytest.mark.parametrize("scale", [np.nan, np.inf, 2.0**-15])
def test_apr_q4_takes_a_broken_or_subnormal_scale_as_zero(scale: float) -> None:
    raw = apr_q4_block(scale, [1, 15])
    assert to_float32(raw, DType.APR_Q4, (2,)).tolist() == [0, 0]
