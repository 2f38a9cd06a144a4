"""Rows decoded on their own are the rows of the whole tensor."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_aprqa.artifact.decoded_rows import DecodedRows
from pytest_aprqa.artifact.dtypes import from_float32, to_float32
from pytest_aprqa.artifact.tensor_file import DType

ENCODED = (
    *(DType.F32, DType.F16, DType.BF16, DType.Q4_0, DType.Q8_0),
    *(DType.Q4_K, DType.Q6_K, DType.APR_Q4, DType.APR_Q8),
)


@settings(deadline=None, max_examples=40)
@given(
    dtype=st.sampled_from(ENCODED),
    shape=st.sampled_from([(6, 256), (2, 3, 32), (7, 32), (512,), (4, 512)]),
    cut=st.integers(0, 8),
)
def test_any_cut_gives_the_whole_again(dtype: DType, shape: tuple[int, ...], cut: int) -> None:
    if dtype in (DType.Q4_K, DType.Q6_K) and shape[-1] % 256:
        shape = (3, 300)  # as APR fills rows up
    values = np.random.default_rng(cut).standard_normal(shape, np.float32)
    raw = from_float32(values, dtype)
    tensor = DecodedRows(raw, dtype, shape)
    parts = [tensor.rows(0, cut), tensor.rows(cut, 8)]
    whole = to_float32(raw, dtype, shape).reshape(-1, shape[-1])
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_blocks_that_reach_over_rows_are_cut_as_well() -> None:
    values = np.random.default_rng(0).standard_normal((5, 7), np.float32)
    raw = from_float32(values, DType.APR_Q4)
    tensor = DecodedRows(raw, DType.APR_Q4, (5, 7))
    whole = to_float32(raw, DType.APR_Q4, (5, 7))
    np.testing.assert_array_equal(tensor.rows(2, 4), whole[2:4])


@pytest.mark.parametrize(("shape", "rows"), [((), 1), ((0, 4), 0), ((3, 0), 0)])
def test_scalars_and_empty_tensors_have_rows_too(shape: tuple[int, ...], rows: int) -> None:
    raw = from_float32(np.ones(shape, np.float32), DType.F32)
    assert len(DecodedRows(raw, DType.F32, shape).rows(0, 9)) == rows
