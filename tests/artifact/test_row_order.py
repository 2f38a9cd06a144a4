from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aprqa.artifact.architecture import Layout
from pytest_aprqa.artifact.config import ModelConfig
from pytest_aprqa.artifact.dtypes import from_float32, to_float32
from pytest_aprqa.artifact.row_order import gguf_rows, retyped, to_gguf_layout, to_hf_layout
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.artifact.tensor_source import TensorSource


def shape_of(heads: int, groups: int, width: int) -> ModelConfig:
    return ModelConfig(
        model_type="llama",
        hidden_size=32,
        num_layers=1,
        num_heads=heads,
        num_kv_heads=groups,
        head_dim=width,
        intermediate_size=64,
        vocab_size=10,
        max_position_embeddings=8,
        rms_norm_eps=1e-5,
    )


def matrix(rows: int, dtype: DType, columns: int = 32) -> TensorSource:
    values = np.random.default_rng(rows).normal(size=(rows, columns)).astype(np.float32)
    data = from_float32(values, dtype)
    return TensorSource("w", dtype, (rows, columns), lambda: data)


def test_rotary_rows_are_interleaved_head_by_head() -> None:
    # One head is [first half, second half]; llama.cpp wants pairs of one of each.
    rows = gguf_rows(Layout.ROPE_HEADS, shape_of(heads=2, groups=1, width=4))
    assert rows is not None
    assert rows.tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_a_fused_projection_by_head_becomes_all_q_then_all_k_then_all_v() -> None:
    rows = gguf_rows(Layout.QKV_BY_HEAD, shape_of(heads=2, groups=2, width=1))
    assert rows is not None
    assert rows.tolist() == [0, 3, 1, 4, 2, 5]


@pytest.mark.parametrize("layout", [Layout.SAME, Layout.PLUS_ONE])
def test_other_layouts_move_no_row(layout: Layout) -> None:
    assert gguf_rows(layout, shape_of(2, 1, 4)) is None


@given(
    layout=st.sampled_from([Layout.ROPE_HEADS, Layout.ROPE_KV_HEADS, Layout.QKV_BY_HEAD]),
    groups=st.integers(1, 4),
    per_group=st.integers(1, 3),
    half=st.integers(1, 4),
)
def test_the_way_back_undoes_the_way_there(
    layout: Layout, groups: int, per_group: int, half: int
) -> None:
    config = shape_of(groups * per_group, groups, 2 * half)
    rows = gguf_rows(layout, config)
    assert rows is not None
    assert sorted(rows) == list(range(len(rows)))
    tensor = matrix(len(rows), DType.F16)
    back = to_hf_layout(to_gguf_layout(tensor, layout, config), layout, config)
    assert np.array_equal(back.data(), tensor.data())


@pytest.mark.parametrize("dtype", [DType.F32, DType.BF16, DType.Q8_0, DType.Q4_1])
def test_quantised_rows_move_without_being_decoded(dtype: DType) -> None:
    config = shape_of(heads=2, groups=1, width=4)
    tensor = matrix(8, dtype)
    moved = to_gguf_layout(tensor, Layout.ROPE_HEADS, config)
    assert moved.dtype is dtype
    values = to_float32(tensor.data(), dtype, tensor.shape)
    found = to_float32(moved.data(), dtype, tensor.shape)
    assert np.array_equal(found, values[[0, 2, 1, 3, 4, 6, 5, 7]])


def test_rows_that_share_a_scale_are_decoded_first() -> None:
    moved = to_gguf_layout(matrix(8, DType.APR_Q8), Layout.ROPE_HEADS, shape_of(2, 1, 4))
    assert moved.dtype is DType.F32


def test_gguf_holds_gemmas_norms_one_higher() -> None:
    values = np.array([0.0, -0.5, 2.0], np.float32)
    tensor = TensorSource("n", DType.F32, (3,), lambda: values.view(np.uint8))
    higher = to_gguf_layout(tensor, Layout.PLUS_ONE, shape_of(2, 1, 4))
    assert higher.data().view(np.float32).tolist() == [1.0, 0.5, 3.0]
    back = to_hf_layout(higher, Layout.PLUS_ONE, shape_of(2, 1, 4))
    assert np.array_equal(back.data(), tensor.data())


def test_retyping_to_the_same_dtype_is_the_tensor_itself() -> None:
    tensor = matrix(4, DType.BF16)
    assert retyped(tensor, DType.BF16) is tensor
    assert retyped(tensor, DType.F32).dtype is DType.F32
