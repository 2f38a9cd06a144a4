"""The order of rows and the offset of norms that set GGUF tensors apart from Hugging Face's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pytest_aprqa.artifact.architecture import Layout
from pytest_aprqa.artifact.config import ModelConfig
from pytest_aprqa.artifact.dtypes import from_float32, to_float32
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.artifact.tensor_source import TensorSource

NOT_BY_ROW = (DType.APR_Q4, DType.APR_Q8)
"""Rows of these share a scale or a byte, so they cannot be moved without decoding."""


def gguf_rows(layout: Layout, config: ModelConfig) -> npt.NDArray[np.intp] | None:
    """Return for each row of the GGUF tensor its row in the Hugging Face tensor.

    None when the order is the same. Moving whole rows is no transpose: every row keeps its
    values, so block-quantised rows move as they are.
    """
    heads, groups, width = config.num_heads, config.num_kv_heads, config.head_dim
    if layout in (Layout.ROPE_HEADS, Layout.ROPE_KV_HEADS):
        count = heads if layout is Layout.ROPE_HEADS else groups
        rows = np.arange(count * width).reshape(count, 2, width // 2)
        return rows.swapaxes(1, 2).reshape(-1)
    if layout is Layout.QKV_BY_HEAD:
        rows = np.arange((heads + 2 * groups) * width).reshape(groups, -1, width)
        parts = (rows[:, :-2], rows[:, -2], rows[:, -1])
        return np.concatenate([part.reshape(-1) for part in parts])
    return None


def to_gguf_layout(tensor: TensorSource, layout: Layout, config: ModelConfig) -> TensorSource:
    """Return a tensor in Hugging Face's order as GGUF holds it."""
    if layout is Layout.PLUS_ONE:
        return _shifted(tensor, 1.0)
    rows = gguf_rows(layout, config)
    return tensor if rows is None else _reordered(tensor, rows)


def to_hf_layout(tensor: TensorSource, layout: Layout, config: ModelConfig) -> TensorSource:
    """Return a tensor in GGUF's order as Hugging Face holds it."""
    if layout is Layout.PLUS_ONE:
        return _shifted(tensor, -1.0)
    rows = gguf_rows(layout, config)
    return tensor if rows is None else _reordered(tensor, np.argsort(rows))


def retyped(tensor: TensorSource, dtype: DType) -> TensorSource:
    """Return a tensor in another dtype; decoding and encoding happen when it is read."""
    if dtype is tensor.dtype:
        return tensor

    def data() -> npt.NDArray[np.uint8]:
        return from_float32(to_float32(tensor.data(), tensor.dtype, tensor.shape), dtype)

    return replace(tensor, dtype=dtype, data=data)


def _reordered(tensor: TensorSource, rows: npt.NDArray[np.intp]) -> TensorSource:
    source = retyped(tensor, DType.F32) if tensor.dtype in NOT_BY_ROW else tensor

    def data() -> npt.NDArray[np.uint8]:
        moved: npt.NDArray[np.uint8] = source.data().reshape(source.shape[0], -1)[rows]
        return moved.reshape(-1)

    return replace(source, data=data)


def _shifted(tensor: TensorSource, offset: float) -> TensorSource:
    def data() -> npt.NDArray[np.uint8]:
        values = to_float32(tensor.data(), tensor.dtype, tensor.shape)
        return from_float32(values + np.float32(offset), DType.F32)

    return replace(tensor, dtype=DType.F32, data=data)
