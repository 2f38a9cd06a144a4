from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aprqa.artifact.dtypes import from_float32, nbytes, to_float32
from pytest_aprqa.artifact.quantize import round_half_away
from pytest_aprqa.artifact.tensor_file import DType


def encoded(values: list[float], dtype: DType) -> np.ndarray:
    return from_float32(np.array(values, np.float32), dtype)


@pytest.mark.parametrize(
    ("value", "rounded"),
    [(0.5, 1), (-0.5, -1), (1.5, 2), (2.5, 3), (-2.5, -3), (0.49999997, 0), (8388609.0, 8388609)],
)
def test_halves_are_rounded_away_from_zero(value: float, rounded: float) -> None:
    assert round_half_away(np.array([value], np.float32))[0] == rounded


def test_apr_q8_rounds_halves_away_from_zero() -> None:
    # The scale is 1: 127 / 127.
    quants = encoded([127, 0.5, -0.5, 2.5, -127], DType.APR_Q8)[4:].view(np.int8)
    assert quants.tolist() == [127, 1, -1, 3, -127]


def test_apr_q8_of_zeros_has_scale_one() -> None:
    raw = encoded([0, 0], DType.APR_Q8)
    assert raw[:4].view(np.float32)[0] == 1
    assert not raw[4:].any()


def test_apr_q4_is_laid_out_as_published() -> None:
    raw = encoded([7, -7, 0.5, -2.5], DType.APR_Q4)
    assert raw.size == 18
    assert raw[:2].view(np.float16)[0] == 1
    # Nibbles q + 8 of 7, -7, 1, -3, the even element low; then zero bytes, not nibbles of 8.
    assert raw[2:].tolist() == [0x1F, 0x59] + [0] * 14


def test_apr_q4_of_zeros_has_scale_one() -> None:
    raw = encoded([0] * 32, DType.APR_Q4)
    assert raw[:2].view(np.float16)[0] == 1
    assert set(raw[2:].tolist()) == {0x88}


@given(st.floats(width=32))
def test_bfloat16_is_the_nearest_even_one(value: float) -> None:
    halves = encoded([value], DType.BF16).view(np.uint16)
    found = float(to_float32(halves.view(np.uint8), DType.BF16, (1,))[0])
    if np.isnan(value):
        assert np.isnan(found)
        return
    code = int(halves[0])
    candidates = [(code + step) % (1 << 16) for step in (-1, 1)]
    others = to_float32(np.array(candidates, np.uint16).view(np.uint8), DType.BF16, (2,))
    if not np.isfinite(found):
        # Past the largest value by half a step or more.
        assert abs(value) >= 3.3961775e38
        return
    for other, neighbour in zip(others, candidates, strict=True):
        if np.isfinite(other):
            nearer, farther = abs(value - found), abs(value - float(other))
            assert nearer < farther or (nearer == farther and not code % 2 and neighbour % 2)


def test_float16_overflows_to_infinity_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isinf(encoded([1e6], DType.F16).view(np.float16)[0])


@pytest.mark.parametrize("dtype", [DType.Q4_0, DType.Q4_1, DType.Q5_0, DType.Q5_1, DType.Q8_0])
def test_block_types_come_back_within_half_a_step(dtype: DType) -> None:
    array = np.random.default_rng(0).uniform(-1, 1, (6, 64)).astype(np.float32)
    levels = {"4": 15, "5": 31, "8": 254}[dtype.value[1]]
    decoded = to_float32(from_float32(array, dtype), dtype, array.shape)
    # Q4_0 and Q5_0 clip the end opposite to the extreme: a whole step there.
    step = 2 / levels * (2 if dtype.value.endswith("_0") else 1)
    assert np.abs(decoded - array).max() <= step * 0.51


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", [DType.APR_Q4, DType.APR_Q8])
@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_what_is_not_finite_is_encoded_in_silence(dtype: DType, broken: float) -> None:
    values = np.ones(64, np.float32)
    values[3] = broken
    assert from_float32(values, dtype).size == nbytes(dtype, (64,))
