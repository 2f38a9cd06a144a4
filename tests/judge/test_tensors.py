"""Tensors that rounding changed, and tensors that a fault changed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from gguf import GGMLQuantizationType, quants
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_aprqa.judge.rounding import TENSOR, step_of
from pytest_aprqa.judge.tensors import TensorComparison, compare_tensor

RNG = np.random.default_rng(0)
Array = np.ndarray


def rounded(tensor: Array, dtype: str) -> Array:
    """Return a tensor after a trip through a GGUF type."""
    kind = GGMLQuantizationType[dtype]
    return quants.dequantize(quants.quantize(tensor, kind), kind).reshape(tensor.shape)


def compare(reference: Array, artifact: Array, dtype: str) -> TensorComparison:
    step = step_of(dtype)
    return compare_tensor("w", reference, artifact.astype(np.float32), step.bound, step.block)


def normal(*shape: int) -> Array:
    return (RNG.normal(size=shape) * 0.02).astype(np.float32)


WEIGHTS = {
    "normal": normal(128, 256),
    "heavy-tailed": (RNG.standard_t(3, size=(64, 512)) * 0.02).astype(np.float32),
    "ternary": RNG.integers(-1, 2, size=(64, 256)).astype(np.float32),
    "signs": (RNG.integers(0, 2, size=(64, 256)) * 2 - 1).astype(np.float32),
    "constant": np.full((32, 256), 1.003, np.float32),
    "tiny": normal(32, 256) * np.float32(1e-4),
    "rows of all scales": normal(64, 256) * (10.0 ** RNG.uniform(-4, 2, (64, 1))).astype("f4"),
    "sparse": normal(64, 256) * (RNG.random((64, 256)) < 0.01),
    "two per row": np.eye(64, 256, dtype="f4") * 0.3 + np.eye(64, 256, k=1, dtype="f4") * 0.299,
    "outliers": np.where(RNG.random((64, 256)) < 0.03, 8, 0.05).astype("f4"),
    "positive": RNG.uniform(0.5, 1, size=(64, 64)).astype(np.float32),
    "norm": RNG.normal(1, 0.3, size=256).astype(np.float32),
    "zero": np.zeros((16, 64), np.float32),
}
TYPES = ["F16", "BF16", "Q8_0", "Q5_0", "Q5_1", "Q4_0", "Q4_1"]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", WEIGHTS)
def test_rounding_is_sound(name: str, dtype: str) -> None:
    found = compare(WEIGHTS[name], rounded(WEIGHTS[name], dtype), dtype)
    assert found.fault == ""
    assert found.elements == WEIGHTS[name].size


def swap_heads(w: Array) -> Array:
    heads = w.reshape(8, -1, w.shape[1])
    return heads[[1, 0, 2, 3, 4, 5, 6, 7]].reshape(w.shape)


def interleave_rope(w: Array) -> Array:
    """Take the rows of each head in the order of the other rotary convention."""
    return w.reshape(8, 2, -1, w.shape[1]).swapaxes(1, 2).reshape(w.shape)


def changed(w: Array, where: tuple[slice, slice], factor: float) -> Array:
    copy = w.copy()
    copy[where] *= factor
    return copy


SAME_STATISTICS: dict[str, Callable[[Array], Array]] = {
    "transposed square": lambda w: w.T,
    "permuted heads": swap_heads,
    "other rotary order": interleave_rope,
    "rows upside down": lambda w: w[::-1],
    "columns shifted by one": lambda w: np.roll(w, 1, axis=1),
    "two rows swapped": lambda w: np.concatenate([w[:5], w[6:7], w[5:6], w[7:]]),
}
OTHER_STATISTICS: dict[str, Callable[[Array], Array]] = {
    "all signs flipped": lambda w: -w,
    "signs of one block flipped": lambda w: changed(w, np.s_[7:8, 32:64], -1),
    "one row scaled": lambda w: changed(w, np.s_[9:10, :], 1.25),
    "one row zeroed": lambda w: changed(w, np.s_[9:10, :], 0),
    "one block zeroed": lambda w: changed(w, np.s_[9:10, 64:96], 0),
    "one element lost": lambda w: np.where(np.abs(w) == np.abs(w).max(), 0, w),
    "all scaled": lambda w: w * np.float32(1.2),
}
SQUARE = normal(256, 256)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("fault", [*SAME_STATISTICS, *OTHER_STATISTICS])
def test_a_fault_is_seen_through_rounding(fault: str, dtype: str) -> None:
    make = (SAME_STATISTICS | OTHER_STATISTICS)[fault]
    artifact = rounded(np.ascontiguousarray(make(SQUARE)), dtype)
    assert "differs beyond rounding" in compare(SQUARE, artifact, dtype).fault


@pytest.mark.parametrize("fault", SAME_STATISTICS)
def test_statistics_cannot_see_what_positions_show(fault: str) -> None:
    artifact = SAME_STATISTICS[fault](SQUARE)
    for statistic in (np.mean, np.std, np.min, np.max, np.median):
        assert statistic(artifact) == pytest.approx(statistic(SQUARE), abs=1e-7)
    assert compare(SQUARE, artifact, "F32").fault


@pytest.mark.parametrize("dtype", TYPES)
def test_swapped_layers_are_seen_in_both(dtype: str) -> None:
    first, second = normal(64, 256), normal(64, 256)
    assert compare(first, rounded(second, dtype), dtype).fault
    assert compare(second, rounded(first, dtype), dtype).fault


@pytest.mark.parametrize(
    ("artifact", "hint"),
    [
        (SQUARE.T, "transposed matrix"),
        (swap_heads(SQUARE), "rows of the reference in another order"),
        (-SQUARE, "all signs are flipped"),
        (normal(256, 256), ""),
    ],
)
def test_a_usual_mistake_is_recognised(artifact: Array, hint: str) -> None:
    found = compare(SQUARE, rounded(np.ascontiguousarray(artifact), "Q8_0"), "Q8_0")
    assert hint in found.hint
    assert bool(hint) == bool(found.hint)


def test_a_transposition_of_another_shape_is_recognised() -> None:
    matrix = normal(64, 128)
    assert "columns" in compare(matrix, matrix.T.reshape(64, 128), "F16").hint


def test_another_shape_is_a_fault_by_itself() -> None:
    found = compare_tensor("w", normal(4, 8), normal(8, 4), 0.1)
    assert found.fault == "w has shape (8, 4), the reference (4, 8)"
    assert found.elements == 0


def test_numbers_that_are_not_finite_are_counted_on_either_side() -> None:
    broken = SQUARE.copy()
    broken[3, 4:6] = np.nan, np.inf
    assert "2 elements in the artifact that are NaN" in compare(SQUARE, broken, "F16").fault
    assert "2 elements in the reference that are NaN" in compare(broken, SQUARE, "F16").fault


@pytest.mark.parametrize("dtype", ["F32", "Q8_0", "APR_Q8"])
def test_tensors_that_are_broken_on_both_sides_are_no_error_of_ours(dtype: str) -> None:
    broken = np.full((4, 32), np.inf, np.float32)
    broken[0] = np.nan
    assert "128 elements in the reference" in compare(broken, broken, dtype).fault


def test_numbers_near_the_largest_float_are_compared() -> None:
    huge = np.full((4, 32), 3e38, np.float32)
    assert compare(huge, huge, "F16").fault == ""
    assert compare(huge, -huge, "F16").fault


def test_a_step_of_zero_asks_for_equality() -> None:
    other = SQUARE.copy()
    other[0, 0] += np.spacing(other[0, 0])
    assert compare(SQUARE, SQUARE.copy(), "F32").fault == ""
    assert compare(SQUARE, other, "F32").fault
    zero, almost = np.zeros((1, 4), np.float32), np.full((1, 4), 1e-40, np.float32)
    assert compare(zero, almost, "F32").fault


def test_a_scale_for_the_whole_tensor_may_lose_its_quiet_rows() -> None:
    matrix = np.concatenate([normal(15, 64), normal(1, 64) * np.float32(1e-4)])
    step = float(np.abs(matrix).max()) / 127
    artifact = np.rint(matrix / step).astype(np.float32) * np.float32(step)
    assert step_of("APR_Q8").block == TENSOR
    assert compare(matrix, artifact, "APR_Q8").fault == ""
    assert compare(matrix, artifact[::-1], "APR_Q8").fault


def test_measures_are_what_their_definitions_say() -> None:
    reference = np.array([[3.0, 4.0], [1.0, 0.0]], np.float32)
    artifact = np.array([[3.0, 4.0], [0.0, 1.0]], np.float32)
    found = compare_tensor("w", reference, artifact, 0.5)
    assert found.relative_error == pytest.approx((2 / 26) ** 0.5)
    assert found.cosine == pytest.approx(25 / 26)
    assert (found.worst_row, found.worst_row_cosine) == (1, 0)
    assert found.worst_error == pytest.approx(2, rel=1e-3)


@given(st.integers(0, 10_000), st.sampled_from(TYPES), st.integers(1, 6), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_any_rounded_tensor_is_sound_and_any_other_is_not(
    seed: int, dtype: str, rows: int, blocks: int
) -> None:
    rng = np.random.default_rng(seed)
    tensor = (rng.normal(size=(rows, 32 * blocks)) * 10.0 ** rng.uniform(-3, 2)).astype("f4")
    other = rng.permuted(tensor, axis=1)
    assert compare(tensor, rounded(tensor, dtype), dtype).fault == ""
    assert compare(tensor, rounded(other, dtype), dtype).fault


def test_a_tensor_larger_than_a_chunk_is_compared_whole() -> None:
    tensor = np.ones((40_000, 64), np.float32)
    artifact = tensor.copy()
    artifact[39_999, 63] = 2
    found = compare_tensor("w", tensor, artifact, 0.1, 32)
    assert (found.elements, found.worst_row) == (40_000 * 64, 39_999)
    assert found.fault


def test_vectors_and_scalars_and_empty_tensors_have_rows_too() -> None:
    assert compare_tensor("b", np.float32([1, 2]), np.float32([1, 2]), 0).fault == ""
    assert compare_tensor("s", np.array(1, "f4"), np.array(2, "f4"), 0).fault
    assert compare_tensor("e", np.empty((0, 4), "f4"), np.empty((0, 4), "f4"), 0).elements == 0


def test_every_quantised_type_has_a_step_and_coarser_ones_a_larger() -> None:
    names = ["F32", "F16", "BF16", "Q8_0", "Q6_K", "Q5_K", "Q4_K", "Q3_K", "Q2_K", "IQ1_S"]
    bounds = [step_of(name).bound for name in names]
    assert bounds == sorted(bounds)
    for name in ("IQ4_NL", "IQ4_XS", "MXFP4", "TQ1_0", "APR_Q4", "Q8_K"):
        assert step_of(name).bound > 0


def test_a_dtype_without_rounding_step_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'I32' is not known"):
        step_of("I32")
