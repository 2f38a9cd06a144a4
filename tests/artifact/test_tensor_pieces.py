"""Pieces and chunks of a tensor hold all of it, once, and no row is cut."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np
import pytest

from pytest_aprqa.artifact.dtypes import from_float32, to_float32
from pytest_aprqa.artifact.tensor_file import DType, TensorInfo
from pytest_aprqa.artifact.tensor_pieces import pieces_of


def test_a_tensor_larger_than_a_piece_is_cut_at_whole_rows() -> None:
    info = TensorInfo("w", DType.BF16, (20_000, 1000), Path("model"), 0, 40_000_000)
    pieces = pieces_of(info)
    assert len(pieces) > 1
    assert [piece.first for piece in pieces[1:]] == [piece.last for piece in pieces[:-1]]
    assert pieces[-1].last == 20_000


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [
        (DType.BF16, (3000, 5000)),
        (DType.F32, (5_000_001,)),
        (DType.APR_Q8, (900, 700)),
        (DType.APR_Q4, (900, 700)),
        (DType.Q4_K, (900, 512)),
        (DType.Q8_0, (0, 32)),
    ],
)
def test_chunks_follow_each_other_and_decode_to_the_whole(
    dtype: DType, shape: tuple[int, ...]
) -> None:
    values = np.random.default_rng(0).standard_normal(shape, np.float32)
    raw = from_float32(values, dtype)
    info = TensorInfo("w", dtype, shape, Path("model"), 0, raw.size)
    decoded, end = [], None
    for piece in pieces_of(info):
        assert piece.part_of(raw).size == piece.nbytes
        for chunk in piece.chunks():
            assert end is None or chunk.begin == end
            end = chunk.end
            decoded.append(piece.decode(raw, chunk))
    assert sum(part.size for part in decoded) == prod(shape)
    if decoded:
        assert end == raw.size
        whole = to_float32(raw, dtype, shape).reshape(-1)
        np.testing.assert_array_equal(np.concatenate(decoded), whole)
