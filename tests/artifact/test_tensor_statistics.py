from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pytest_aprqa.artifact import tensor_pieces
from pytest_aprqa.artifact.dtypes import from_float32, to_float32
from pytest_aprqa.artifact.tensor_file import DType, TensorInfo
from pytest_aprqa.artifact.tensor_pieces import Piece, pieces_of
from pytest_aprqa.artifact.tensor_statistics import Statistics, Tally, holds_weights, l2_norm

TYPES = [
    DType.F32,
    DType.F16,
    DType.BF16,
    DType.APR_Q4,
    DType.APR_Q8,
    DType.Q4_K,
    DType.Q6_K,
]


def tensor_of(raw: np.ndarray, dtype: DType, shape: tuple[int, ...]) -> TensorInfo:
    return TensorInfo("w", dtype, shape, Path("model"), 0, raw.size)


def cut(info: TensorInfo, units: int) -> list[Piece]:
    """Cut a tensor into small pieces, as a huge one would be."""
    pieces = []
    for piece in pieces_of(info):
        for first in range(piece.first, piece.last, units):
            last = min(first + units, piece.last)
            pieces.append(replace(piece, first=first, last=last))
    return pieces


def statistics(raw: np.ndarray, dtype: DType, shape: tuple[int, ...], units: int) -> Statistics:
    info = tensor_of(raw, dtype, shape)
    return sum((tallied(piece, raw) for piece in cut(info, units)), Statistics())


def tallied(piece: Piece, raw: np.ndarray) -> Statistics:
    tally = Tally(piece)
    for chunk in piece.chunks():
        tally.add(raw, chunk)
    return tally.statistics()


@settings(max_examples=80, deadline=None)
@given(
    array=hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=40),
        elements=st.sampled_from([0.0, 0.0, 0.0, -0.0, 1.0, -3.0, 1e-3]),
    ),
    dtype=st.sampled_from(TYPES),
    units=st.sampled_from([1, 3, 1000]),
)
def test_pieces_add_up_to_what_numpy_says_of_the_decoded_tensor(
    array: np.ndarray, dtype: DType, units: int
) -> None:
    raw = from_float32(array, dtype)
    decoded = to_float32(raw, dtype, array.shape)
    found = statistics(raw, dtype, array.shape, units)
    assert found.elements == decoded.size
    assert found.zeros == np.count_nonzero(decoded == 0)
    assert found.not_finite == 0
    assert found.peak == np.abs(decoded).max(initial=0)
    if decoded.size:
        same = np.unique(np.abs(decoded) if not decoded.any() else decoded).size == 1
        assert (found.constant is not None) <= same
    if array.ndim > 1 and decoded.size:
        rows = decoded.reshape(-1, array.shape[-1])
        assert (found.rows, found.dead_rows) == (len(rows), np.sum(~rows.any(axis=1)))
    else:
        assert found.rows == found.dead_rows == 0


@pytest.mark.parametrize("dtype", [DType.F64, DType.F32, DType.F16, DType.BF16])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_counted(dtype: DType, value: float) -> None:
    array = np.ones((5, 7), np.float32)
    array[[1, 4], [2, 6]] = value
    if dtype is DType.F64:
        raw = array.astype(np.float64).reshape(-1).view(np.uint8)
    else:
        raw = from_float32(array, dtype)
    assert statistics(raw, dtype, (5, 7), 2).not_finite == 2


def test_the_nan_of_an_eight_bit_float_is_counted() -> None:
    assert statistics(np.array([0x7F, 0x7E], np.uint8), DType.F8_E4M3, (2,), 9).not_finite == 1
    assert statistics(np.array([0x7C, 0x7B], np.uint8), DType.F8_E5M2, (2,), 9).not_finite == 1


def test_a_broken_apr_q4_scale_is_counted_though_it_decodes_to_zeros() -> None:
    raw = from_float32(np.ones(64, np.float32), DType.APR_Q4)
    raw[18:20] = np.array([np.nan], np.float16).view(np.uint8)
    assert statistics(raw, DType.APR_Q4, (64,), 9).not_finite == 1


@pytest.mark.parametrize("dtype", TYPES)
def test_a_constant_tensor_gives_its_value(dtype: DType) -> None:
    raw = from_float32(np.full((4, 256), 0.5, np.float32), dtype)
    expected = float(to_float32(raw, dtype, (4, 256))[0, 0])
    assert statistics(raw, dtype, (4, 256), 2).constant == expected


@pytest.mark.parametrize("chunk", [8, 1 << 20])
def test_what_is_constant_in_each_chunk_need_not_be_so_in_all(
    chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensor_pieces, "CHUNK_BYTES", chunk)
    for values, constant in ((np.repeat([2.0, 3.0], 4), None), (np.repeat([2.0], 8), 2.0)):
        raw = from_float32(values.astype(np.float32), DType.BF16)
        found = statistics(raw, DType.BF16, (4, 2), 1000)
        assert (found.constant, found.peak) == (constant, values.max())


def test_rows_too_long_to_hold_are_looked_at_all_the_same() -> None:
    array = np.zeros((2, 1_500_000), np.float32)
    array[1, -1] = np.nan
    found = statistics(from_float32(array, DType.F32), DType.F32, array.shape, 1 << 30)
    assert (found.elements, found.not_finite, found.rows) == (3_000_000, 1, 0)


@pytest.mark.parametrize("dtype", [DType.F32, DType.APR_Q8])
def test_the_norm_is_the_root_of_the_sum_of_squares(dtype: DType) -> None:
    array = np.random.default_rng(0).normal(0, 1e-9, (7, 64)).astype(np.float32)
    raw = from_float32(array, dtype)
    decoded = to_float32(raw, dtype, array.shape).astype(np.float64)
    found = l2_norm(tensor_of(raw, dtype, array.shape), raw)
    assert found == pytest.approx(np.linalg.norm(decoded), rel=1e-12)


def test_integers_hold_no_weights() -> None:
    assert not holds_weights(DType.I64)
    assert not holds_weights(DType.BOOL)
    assert holds_weights(DType.F8_E4M3)
    assert holds_weights(DType.IQ2_XS)
