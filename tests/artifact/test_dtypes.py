from __future__ import annotations

import gguf
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pytest_aprqa.artifact.dtypes import (
    PLAIN_BYTES,
    block_of,
    from_float32,
    ggml_code,
    ggml_dtype,
    nbytes,
    padded_nbytes,
    safetensors_dtype,
    to_float32,
)
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.tensor_file import DType

GGML_TYPES = [t for t in DType if t.value in gguf.GGMLQuantizationType.__members__]


@pytest.mark.parametrize("dtype", GGML_TYPES)
def test_sizes_and_ids_are_those_of_ggml(dtype: DType) -> None:
    known = gguf.GGMLQuantizationType[dtype.value]
    elements, size = gguf.GGML_QUANT_SIZES[known]
    assert (block_of(dtype).elements, block_of(dtype).nbytes) == (elements, size)
    assert nbytes(dtype, (3, 2 * elements)) == 6 * size
    assert ggml_code(dtype) == known
    assert ggml_dtype(int(known)) is dtype


@pytest.mark.parametrize(
    ("dtype", "shape", "size"),
    [
        (DType.F32, (), 4),
        (DType.BF16, (3, 5), 30),
        (DType.BOOL, (0, 7), 0),
        (DType.Q8_0, (0, 32), 0),
        (DType.APR_Q4, (3, 11), 36),
        (DType.APR_Q4, (), 18),
        (DType.APR_Q4, (0,), 0),
        (DType.APR_Q8, (3, 11), 37),
        (DType.APR_Q8, (0, 4), 0),
    ],
)
def test_sizes_follow_from_shapes(dtype: DType, shape: tuple[int, ...], size: int) -> None:
    assert nbytes(dtype, shape) == padded_nbytes(dtype, shape) == size


def test_rows_that_are_not_whole_blocks_have_no_size_but_apr_fills_them_up() -> None:
    with pytest.raises(ArtifactError) as caught:
        nbytes(DType.Q4_K, (2, 896))
    assert caught.value.fault is ArtifactFault.MALFORMED
    # 896 = 3.5 blocks: each row takes 4.
    assert padded_nbytes(DType.Q4_K, (2, 896)) == 2 * 4 * 144
    assert padded_nbytes(DType.Q6_K, (896,)) == 4 * 210
    assert padded_nbytes(DType.Q6_K, (2, 2, 128)) == 2 * 210


def test_unknown_names_and_ids_are_no_types() -> None:
    assert safetensors_dtype("F32") is DType.F32
    assert safetensors_dtype("Q4_0") is None
    assert ggml_dtype(4) is None
    with pytest.raises(ArtifactError) as caught:
        ggml_code(DType.APR_Q4)
    assert caught.value.fault is ArtifactFault.UNSUPPORTED


SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=40)
FLOATS = hnp.arrays(np.float32, SHAPES, elements=st.floats(-1000, 1000, width=32))


@settings(max_examples=50, deadline=None)
@given(array=FLOATS)
def test_f32_comes_back_as_it_was(array: np.ndarray) -> None:
    encoded = from_float32(array, DType.F32)
    assert encoded.dtype == np.uint8
    np.testing.assert_array_equal(to_float32(encoded, DType.F32, array.shape), array)


@settings(max_examples=50, deadline=None)
@given(array=FLOATS)
@example(array=np.array(1e-45, np.float32))
def test_apr_types_come_back_within_half_a_step(array: np.ndarray) -> None:
    for dtype in (DType.APR_Q4, DType.APR_Q8):
        encoded = from_float32(array, dtype)
        assert encoded.size == nbytes(dtype, array.shape)
        decoded = to_float32(encoded, dtype, array.shape)
        peak = float(np.abs(array).max(initial=0))
        # Half a step, plus what rounding the scale to float16 does to 7 steps; scales below the
        # normal range of float16 count as 0. APR_Q8 has a float32, whose least step 127 steps share.
        q8, q4 = peak / 254 + 127 * 2.0**-149, peak / 14 + peak / 1024 + 7 * 2.0**-14
        bound = q8 if dtype is DType.APR_Q8 else q4
        assert np.abs(decoded - array).max(initial=0) <= bound * 1.001


@settings(max_examples=30, deadline=None)
@given(
    shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=270),
    dtype=st.sampled_from([DType.Q4_K, DType.Q6_K]),
    seed=st.integers(0, 99),
)
def test_filled_up_rows_come_back_in_their_shape(
    shape: tuple[int, ...], dtype: DType, seed: int
) -> None:
    shape = (*shape[:-2], min(shape[-1], 5), shape[-1])[-3:]
    array = np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)
    encoded = from_float32(array, dtype)
    assert encoded.size == padded_nbytes(dtype, shape)
    decoded = to_float32(encoded, dtype, shape)
    assert decoded.shape == shape
    assert np.abs(decoded - array).max() < (0.15 if dtype is DType.Q4_K else 0.04)


def test_types_without_encoder_are_unsupported() -> None:
    for dtype in (DType.I8, DType.IQ2_XS, DType.F8_E4M3):
        with pytest.raises(ArtifactError) as caught:
            from_float32(np.ones((1, 256), np.float32), dtype)
        assert caught.value.fault is ArtifactFault.UNSUPPORTED


@pytest.mark.parametrize("dtype", [DType.Q8_1, DType.Q1_0])
def test_types_without_decoder_are_unsupported(dtype: DType) -> None:
    block = block_of(dtype)
    with pytest.raises(ArtifactError, match=f"no decoder for type {dtype}") as caught:
        to_float32(np.zeros(block.nbytes, np.uint8), dtype, (block.elements,))
    assert caught.value.fault is ArtifactFault.UNSUPPORTED


def test_every_type_that_the_reference_library_lists_is_known() -> None:
    assert {ggml_dtype(int(known)) for known in gguf.GGMLQuantizationType}.isdisjoint({None})


def test_a_rare_type_is_decoded_by_the_reference_library() -> None:
    raw = np.random.default_rng(1).integers(0, 120, 2 * 2 * 36, dtype=np.uint8)
    expected = gguf.quants.dequantize(raw.reshape(2, -1), gguf.GGMLQuantizationType.NVFP4)
    assert np.array_equal(to_float32(raw, DType.NVFP4, (2, 128)), expected)


@pytest.mark.parametrize("dtype", [t for t in PLAIN_BYTES if t.value[0] in "IU"])
def test_integers_become_floats(dtype: DType) -> None:
    name = dtype.value.replace("I", "int").replace("U", "uint").lower()
    values = np.array([0, 1, 100], name)
    decoded = to_float32(values.view(np.uint8), dtype, (3,))
    assert decoded.dtype == np.float32
    assert decoded.tolist() == [0, 1, 100]
