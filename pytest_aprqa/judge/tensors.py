"""Whether a tensor survived its conversion: position by position, never by its statistics."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from pytest_aprqa.judge.rounding import ROW, TENSOR, least_error
from pytest_aprqa.judge.statistics import Floats

Array = npt.NDArray[np.float32]
Values = npt.NDArray[np.floating]

_CHUNK = 1 << 18
"""Elements looked at in one go: a MiB of float32 of either side stays in a processor's cache."""

_SAME_ROW = 0.9
"""Cosine above which two rows are the same but for rounding; of unrelated rows it is near 0."""


@dataclass(frozen=True, slots=True)
class TensorComparison:
    """One tensor of an artifact against the same tensor of its reference.

    Attributes:
        name: of the tensor, as the reference calls it.
        reference_shape, artifact_shape: row-major.
        elements: how many were compared; 0 when the shapes differ.
        relative_error: Frobenius norm of the difference over that of the reference.
        cosine: of the two tensors as vectors.
        worst_row: row with the lowest cosine, `worst_row_cosine`.
        worst_error: largest error of any element, in units of what rounding may do to it.
        worst_gain: row whose scale deviates most, in units of what rounding may do to it.
        reference_not_finite, artifact_not_finite: elements that are NaN or infinite.
        hint: what the artifact holds instead, when that is recognised.
        lossless_bytes: of the reference's tensor, when no dtype on the way to the artifact rounds,
            so that the way back must give them again; 0 otherwise.
    """

    name: str
    reference_shape: tuple[int, ...]
    artifact_shape: tuple[int, ...]
    elements: int = 0
    relative_error: float = 0.0
    cosine: float = 1.0
    worst_row: int = 0
    worst_row_cosine: float = 1.0
    worst_error: float = 0.0
    worst_gain: float = 0.0
    reference_not_finite: int = 0
    artifact_not_finite: int = 0
    hint: str = ""
    lossless_bytes: int = 0

    @property
    def is_given_back(self) -> bool:
        """Whether the way back gives the reference's bytes, up to the signs of zeros."""
        return not self.fault and self.worst_error == 0

    @property
    def fault(self) -> str:
        """What is wrong, as one sentence; empty when the tensor is sound."""
        if self.reference_shape != self.artifact_shape:
            return (
                f"{self.name} has shape {self.artifact_shape}, the reference {self.reference_shape}"
            )
        if self.reference_not_finite or self.artifact_not_finite:
            side, count = (
                ("reference", self.reference_not_finite)
                if self.reference_not_finite
                else ("artifact", self.artifact_not_finite)
            )
            return f"{self.name} has {count} elements in the {side} that are NaN or infinite"
        if self.worst_error <= 1 and self.worst_gain <= 1:
            return ""
        hint = f": {self.hint}" if self.hint else ""
        return (
            f"{self.name} differs beyond rounding{hint} (element error {self.worst_error:.3g} and "
            f"row scale {self.worst_gain:.3g} times what rounding may do, relative error "
            f"{self.relative_error:.3g}, lowest cosine {self.worst_row_cosine:.4f} in row "
            f"{self.worst_row})"
        )


def compare_tensor(
    name: str, reference: Array, artifact: Array, step_bound: float, block: int = ROW
) -> TensorComparison:
    """Compare a tensor with its reference, element by element and row by row.

    Every element may be off by `step_bound` times the largest magnitude of its block, so any
    permutation, transposition, swap or sign flip is seen that moves weight by more than rounding.
    A scaled row or tensor can stay below that for coarse types; it is seen by its gain, see
    `_worst_gain`.

    Args:
        name: of the tensor.
        reference: float32, any shape; rows are the last dimension.
        artifact: float32, the same tensor as the artifact holds it.
        step_bound: largest rounding error as a share of the block's largest magnitude; 0 asks for
            equality.
        block: elements along a row that share a scale; 1 is the element itself, ROW and TENSOR
            the whole of them.
    """
    return compare_rows(name, _Held(reference), _Held(artifact), step_bound, block)


def same_tensor(name: str, shape: tuple[int, ...]) -> TensorComparison:
    """Return the comparison of tensors that are the same, bit for bit, and finite."""
    return TensorComparison(name, shape, shape, elements=math.prod(shape))


class Rows(Protocol):
    """A tensor of which some rows are in memory at a time."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Row-major; a row is the last dimension."""
        ...

    def rows(self, first: int, last: int) -> Array:
        """Return rows `first` to `last`, or to the end, of the tensor seen as a matrix."""
        ...


@dataclass(frozen=True, slots=True)
class _Held:
    array: Array

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    def rows(self, first: int, last: int) -> Array:
        columns = self.shape[-1] if self.shape else 1
        return self.array.reshape(-1, columns)[first:last]


def compare_rows(
    name: str, reference: Rows, artifact: Rows, step_bound: float, block: int = ROW
) -> TensorComparison:
    """Compare two tensors as `compare_tensor` does, some rows at a time.

    Whole they are asked for only to say what the artifact holds instead.
    """
    shape = reference.shape
    columns = shape[-1] if shape else 1
    if shape != artifact.shape or not math.prod(shape):
        return TensorComparison(name, shape, artifact.shape)
    if block > 0 and columns % block:
        block = ROW
    count = math.prod(shape) // columns
    whole = _largest_of(reference, count, columns) if block == TENSOR else 0.0
    rows = _Rows.joined(
        [
            _compare_rows(
                reference.rows(*part),
                artifact.rows(*part),
                step_bound,
                columns if block <= 0 else block,
                whole,
            )
            for part in _parts(count, columns)
        ]
    )
    cosines = rows.cosines
    worst_error = float(rows.worst_error.max())
    coarse = step_bound > 0 and block != 1
    worst_gain = _worst_gain(rows, step_bound, block, columns) if coarse else 0.0
    energy = float(rows.energy.sum())
    broken = bool(rows.reference_not_finite.any() or rows.artifact_not_finite.any())
    return TensorComparison(
        name,
        shape,
        shape,
        elements=count * columns,
        relative_error=math.sqrt(rows.error.sum() / energy) if energy else float(worst_error > 0),
        cosine=float(_Rows(*(x.sum(keepdims=True) for x in rows)).cosines[0]),
        worst_row=int(cosines.argmin()),
        worst_row_cosine=float(cosines.min()),
        worst_error=worst_error,
        worst_gain=worst_gain,
        reference_not_finite=int(rows.reference_not_finite.sum()),
        artifact_not_finite=int(rows.artifact_not_finite.sum()),
        hint=""
        if broken or max(worst_error, worst_gain) <= 1 or len(shape) != 2
        else _hint(reference.rows(0, count), artifact.rows(0, count), cosines),
    )


def _largest_of(tensor: Rows, count: int, columns: int) -> float:
    largest = 0.0
    for part in _parts(count, columns):
        values = np.abs(tensor.rows(*part))
        largest = max(largest, float(values[np.isfinite(values)].max(initial=0)))
    return largest


def _parts(count: int, columns: int) -> Iterator[tuple[int, int]]:
    """Yield the first and last row of each part."""
    height = max(1, _CHUNK // max(1, columns))
    for first in range(0, count, height):
        yield first, min(first + height, count)


class _Rows(NamedTuple):
    """What is known of each row: |r|^2, |a - r|^2, <a - r, r>, max |r|, largest error, NaNs."""

    energy: Floats
    error: Floats
    along: Floats
    largest: Floats
    worst_error: Floats
    reference_not_finite: Floats
    artifact_not_finite: Floats

    @classmethod
    def joined(cls, parts: Sequence[_Rows]) -> _Rows:
        return cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    @property
    def cosines(self) -> Floats:
        """Cosine of each row; two zero rows are the same, one alone is not."""
        artifact = np.maximum(0.0, self.energy + 2 * self.along + self.error)
        norms = np.sqrt(self.energy * artifact)
        alone = np.where((self.energy == 0) & (artifact == 0), 1.0, 0.0)
        cosine: Floats = np.divide(self.energy + self.along, norms, out=alone, where=norms > 0)
        return cosine


def _compare_rows(r: Array, a: Array, step_bound: float, block: int, whole: float) -> _Rows:
    values: Values
    difference: Values
    bad_r = bad_a = np.zeros(len(r))
    # Infinities are found by what they make of the sums.
    with np.errstate(invalid="ignore", over="ignore"):
        values, difference = r, a - r
        energy, error, along = _dots(values, difference)
    if not np.isfinite(energy.sum() + error.sum()):
        finite_r, finite_a = np.isfinite(r), np.isfinite(a)
        bad_r, bad_a = (~finite_r).sum(1, dtype=np.float64), (~finite_a).sum(1, dtype=np.float64)
        values = np.where(finite_r, r, 0).astype(np.float64)
        difference = np.where(finite_a, a, 0).astype(np.float64) - values
        energy, error, along = _dots(values, difference)
    if step_bound == 0:
        largest = np.zeros(len(r))
        worst = np.where(difference.any(1), np.inf, 0.0)
    else:
        by_block = _largest(values, block)
        allowed = step_bound * np.maximum(by_block, whole) + least_error(block)
        worst = (_largest(difference, block) / allowed).max(1)
        largest = by_block.max(1)
    return _Rows(energy, error, along, largest, worst, bad_r, bad_a)


def _dots(r: Values, difference: Values) -> tuple[Floats, Floats, Floats]:
    pairs = ((r, r), (difference, difference), (difference, r))
    energy, error, along = (np.einsum("ij,ij->i", x, y).astype(np.float64) for x, y in pairs)
    return energy, error, along


def _largest(values: Values, block: int) -> Floats:
    """Return the largest magnitude of each block of each row."""
    if block == 1:
        return np.abs(values).astype(np.float64)
    largest: Floats = np.abs(values).reshape(len(values), -1, block).max(2).astype(np.float64)
    return largest


def _worst_gain(rows: _Rows, step_bound: float, block: int, columns: int) -> float:
    """Return how far a row's or the tensor's scale is off, in units of what rounding may do.

    The gain of a row is <a, r> / <r, r>, here less 1. Let rho be the relative error that is left
    when the gain is taken out. Rounding by least squares shrinks by rho^2; noise moves the gain by
    rho / sqrt(columns), of which six are allowed; and when few elements carry the row, n of them
    at the maximum, their errors do not average out: 2 * step / sqrt(n). The tensor's median gain
    may be off by rho^2 + step / 2, since formats that clip one end shrink all rows alike; a row is
    therefore held against 0 or the median, whichever is nearer.
    """
    least = least_error(block)
    loud = rows.largest > step_bound * rows.largest.max() + least
    if not loud.any():
        return 0.0
    energy, largest = rows.energy[loud], rows.largest[loud]
    gain = rows.along[loud] / energy
    rho2 = np.maximum(0.0, rows.error[loud] / energy - gain**2)
    few = 2 * step_bound * largest / np.sqrt(energy) + least / largest
    allowed = rho2 + 6 * np.sqrt(rho2 / columns) + few
    median = float(np.median(gain))
    row = np.minimum(np.abs(gain), np.abs(gain - median)) / allowed
    tensor = abs(median) / (float(np.median(rho2)) + step_bound / 2 + float(np.median(few)))
    return max(float(row.max()), tensor)


@np.errstate(over="ignore", invalid="ignore")
def _hint(reference: Array, artifact: Array, cosines: Floats) -> str:
    """Recognise the usual ways of putting the right numbers in the wrong place."""
    if reference.shape[0] == reference.shape[1] and _alike(reference.T, artifact):
        return "it holds the transposed matrix"
    if _alike(reference.T.reshape(reference.shape), artifact):
        return "it holds the columns of the reference in place of its rows"
    if _alike(-reference, artifact):
        return "all signs are flipped"
    return _hint_of_order(reference, artifact, cosines)


def _hint_of_order(reference: Array, artifact: Array, cosines: Floats, rows: int = 16) -> str:
    """Recognise rows that stand elsewhere, by looking for the worst ones in the reference."""
    worst = np.argsort(cosines, kind="stable")[:rows]
    worst = worst[cosines[worst] < _SAME_ROW]
    if not len(worst):
        return ""
    norms = np.linalg.norm(reference, axis=1) + np.finfo(np.float32).tiny
    found = artifact[worst] @ reference.T / norms
    sources = found.argmax(1)
    if np.any(found.max(1) <= _SAME_ROW * np.linalg.norm(artifact[worst], axis=1)):
        return ""
    return (
        "it holds the rows of the reference in another order, "
        f"for instance row {sources[0]} in place of row {worst[0]}"
    )


def _alike(reference: Array, artifact: Array) -> bool:
    difference = float(np.linalg.norm(artifact - reference))
    return difference < 0.5 * float(np.linalg.norm(reference))
