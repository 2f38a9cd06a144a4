"""Layers and experts held against their siblings: whether one is a copy, or of another scale."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

import numpy as np
import numpy.typing as npt

from pytest_aprqa.artifact.dtypes import APR_Q8_HEADER
from pytest_aprqa.artifact.same_bytes import same_bytes
from pytest_aprqa.artifact.tensor_file import TensorFile, TensorInfo
from pytest_aprqa.artifact.tensor_pieces import pieces_of
from pytest_aprqa.artifact.tensor_statistics import Statistics, l2_norm
from pytest_aprqa.observation import Finding, Severity

COPY_RULE = "G0-REPEATED-TENSOR"
SCALE_RULE = "G0-SCALE"

_NUMBER = re.compile(r"\.\d+\.")
_SAMPLE = 256
"""Elements by which near copies are looked for; unrelated ones never agree in so many."""
_SAME_DIRECTION = 1 - 1e-5  # a copy times a number, rounded to BF16, is nearer
_BLOCK = 512
"""Tensors that are held against all others at once."""
_FEWEST = 3
"""Siblings without which none of them is the odd one out."""
_ODD_PEAK, _ODD_SCALE = 10, 50
"""How many times the usual largest magnitude makes a tensor worth a look, and the usual root mean
square makes it a finding. Layers of sound models differ by a few times."""
_MOST_MEASURED = 8

Direction = npt.NDArray[np.float32]


@dataclass(slots=True)
class _Family:
    """The same matrix in all layers, or experts, so far."""

    members: list[TensorInfo] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)
    alike: dict[tuple[object, ...], list[TensorInfo]] = field(default_factory=dict)
    directions: list[Direction] = field(default_factory=list)


class Siblings:
    """The same matrices of all layers, and of all experts, of a model.

    Training never leaves two matrices alike, bit for bit or but for a factor, nor one far larger or
    smaller than most. Few are compared as a whole: those whose largest magnitude says so.
    """

    def __init__(self, tensors: TensorFile) -> None:
        self._tensors = tensors
        self._families: dict[tuple[object, ...], _Family] = {}

    def find(self, info: TensorInfo, statistics: Statistics) -> Iterator[Finding]:
        """Yield the finding that a tensor is, bit for bit, one that was here before."""
        role = _NUMBER.sub(".{}.", info.name)
        if len(info.shape) < 2 or role == info.name or statistics.constant is not None:
            return
        if statistics.not_finite:
            return
        family = self._families.setdefault((role, info.shape), _Family())
        direction = self._direction(info)
        likeness = (info.dtype, statistics.peak, statistics.zeros, direction.tobytes())
        others = family.alike.setdefault(likeness, [])
        for other in others:
            if self._same(info, other):
                message = f"{info.name} is a copy of {other.name}, bit for bit"
                yield Finding(COPY_RULE, message, Severity.WARNING, info.name)
                return
        others.append(info)
        family.members.append(info)
        family.peaks.append(statistics.peak)
        family.directions.append(direction)

    def compare(self) -> Iterator[Finding]:
        """Yield the findings on factors and scale, when all tensors have been seen."""
        for family in self._families.values():
            yield from _multiples(family)
            usual = median(family.peaks)
            odd = [
                info
                for info, peak in zip(family.members, family.peaks, strict=True)
                if not usual / _ODD_PEAK <= peak <= usual * _ODD_PEAK
            ]
            if odd and len(family.members) >= _FEWEST:
                yield from self._scales(odd, [m for m in family.members if m not in odd])

    def _same(self, one: TensorInfo, other: TensorInfo) -> bool:
        return same_bytes(self._tensors.raw(one.name), self._tensors.raw(other.name))

    def _direction(self, info: TensorInfo) -> Direction:
        """Return the first elements of a tensor, of length one together; zeros when it has few."""
        piece = pieces_of(info)[0]
        last = min(piece.last, -(-_SAMPLE // piece.unit_elements))
        parts = max(1, info.nbytes // (APR_Q8_HEADER + last * piece.unit_bytes))
        raw = self._tensors.raw(info.name, 0, parts)
        first = next(replace(piece, last=last).chunks())
        values = piece.decode(raw, first)[:_SAMPLE]
        length = float(np.linalg.norm(values))
        if len(values) < _SAMPLE or not length:
            return np.zeros(_SAMPLE, np.float32)
        direction: Direction = values / np.float32(length)
        return direction

    def _scales(self, odd: Sequence[TensorInfo], others: Sequence[TensorInfo]) -> Iterator[Finding]:
        step = -(-len(others) // _MOST_MEASURED)
        usual = median(self._root_mean_square(info) for info in others[::step])
        for info in odd:
            found = self._root_mean_square(info)
            if not usual / _ODD_SCALE <= found <= usual * _ODD_SCALE:
                message = (
                    f"{info.name} has a root mean square of {found:.2g}, "
                    f"the same matrix of other layers one of {usual:.2g}"
                )
                yield Finding(SCALE_RULE, message, Severity.WARNING, info.name)

    def _root_mean_square(self, info: TensorInfo) -> float:
        return l2_norm(info, self._tensors.raw(info.name)) / math.sqrt(math.prod(info.shape))


def _multiples(family: _Family) -> Iterator[Finding]:
    """Yield the findings that a tensor is a multiple of one before it."""
    directions = np.stack(family.directions)
    for start in range(0, len(directions), _BLOCK):
        likeness = np.tril(np.abs(directions[start : start + _BLOCK] @ directions.T), start - 1)
        for row in np.flatnonzero(likeness.max(axis=1) > _SAME_DIRECTION):
            info, other = family.members[start + row], family.members[likeness[row].argmax()]
            message = f"{info.name} is {other.name} but for a factor"
            yield Finding(COPY_RULE, message, Severity.WARNING, info.name)
