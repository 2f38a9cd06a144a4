from __future__ import annotations

import warnings

import gguf
import numpy as np
import pytest

from pytest_aprqa.artifact.dtypes import from_float32
from pytest_aprqa.artifact.tensor_file import DType

# Relative RMS error on Gaussian weights: ggml's encoders give about 0.07 and 0.018.
BOUNDS = {DType.Q4_K: 0.075, DType.Q6_K: 0.019}


def decoded(raw: np.ndarray, dtype: DType, shape: tuple[int, ...]) -> np.ndarray:
    """Decode with the reference decoder."""
    rows = raw.reshape(shape[0], -1)
    values: np.ndarray = gguf.quants.dequantize(rows, gguf.GGMLQuantizationType[dtype.value])
    return values


def relative_error(array: np.ndarray, dtype: DType) -> float:
    found = decoded(from_float32(array, dtype), dtype, array.shape)
    return float(np.sqrt(np.square(found - array).mean() / np.square(array).mean()))


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("spread", [1e-3, 0.02, 1.0, 100.0])
def test_gaussian_weights_come_back_as_near_as_from_the_reference_encoder(
    dtype: DType, spread: float
) -> None:
    array = np.random.default_rng(0).normal(0, spread, (64, 512)).astype(np.float32)
    assert relative_error(array, dtype) < BOUNDS[dtype]


@pytest.mark.parametrize("dtype", BOUNDS)
def test_weights_far_from_zero_come_back(dtype: DType) -> None:
    array = np.random.default_rng(0).uniform(3, 4, (8, 256)).astype(np.float32)
    assert relative_error(array, dtype) < 0.025


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("value", [0.0, 1.0, -1.0])
def test_constant_blocks_come_back(dtype: DType, value: float) -> None:
    array = np.full((2, 256), value, np.float32)
    found = decoded(from_float32(array, dtype), dtype, array.shape)
    np.testing.assert_allclose(found, array, rtol=1e-3)


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e38])
def test_what_cannot_be_encoded_shows_in_its_block_and_only_there(
    dtype: DType, value: float
) -> None:
    array = np.random.default_rng(0).normal(0, 1, (3, 256)).astype(np.float32)
    array[1, 100] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        raw = from_float32(array, dtype)
    with np.errstate(all="ignore"):
        found = decoded(raw, dtype, array.shape)
    assert np.isfinite(found[[0, 2]]).all()
    assert not np.isfinite(found[1]).all()
