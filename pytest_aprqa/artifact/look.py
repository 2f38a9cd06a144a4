"""Looking at every byte of a file's weights once.

While a chunk is in the cache, all is asked of it that anyone wants to know: its statistics, its
part of the file's checksum, and whether the reference holds the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from pytest_aprqa.artifact.crc32 import Summed, crc32
from pytest_aprqa.artifact.mapped_file import bring, given_back, is_cached
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.same_bytes import equal
from pytest_aprqa.artifact.side_by_side import side_by_side
from pytest_aprqa.artifact.tensor_file import TensorFile, TensorInfo
from pytest_aprqa.artifact.tensor_pieces import Chunk, Piece, pieces_of
from pytest_aprqa.artifact.tensor_source import TensorSource
from pytest_aprqa.artifact.tensor_statistics import Statistics, Tally, holds_weights
from pytest_aprqa.words import Format

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of a tensor.

    Attributes:
        info: the tensor.
        statistics: of its values; None where there is no decoder for their type.
        same: it has a twin, which holds the same bytes.
        summed: the checksums of its parts, where the file has one.
    """

    info: TensorInfo
    statistics: Statistics | None
    same: bool
    summed: tuple[Summed, ...] = ()

    def __add__(self, other: Look) -> Look:
        """Return what was seen of two pieces of one tensor."""
        statistics = None
        if self.statistics is not None and other.statistics is not None:
            statistics = self.statistics + other.statistics
        return Look(
            self.info,
            statistics,
            self.same and other.same,
            self.summed + other.summed,
        )


def look_through(
    tensors: TensorFile, twins: Mapping[str, TensorSource] | None = None
) -> list[Look]:
    """Look at every tensor that holds weights, several threads side by side.

    Args:
        tensors: an open file.
        twins: tensors of another file, of the same dtypes and shapes, by the names in this one.
            They are looked at only where both are in memory: a disk reads one file at a time best.

    Returns:
        What was seen of each tensor, in file order.
    """
    infos = [info for info in tensors.tensors.values() if holds_weights(info.dtype)]
    looks = iter(side_by_side(_jobs(tensors, infos, twins or {})))
    return [_joined(info, [next(looks) for _ in pieces_of(info)]) for info in infos]


def _joined(info: TensorInfo, looks: Iterable[Look]) -> Look:
    whole = Look(info, Statistics(), same=True)
    for look in looks:
        whole += look
    return whole


def _jobs(
    tensors: TensorFile, infos: Iterable[TensorInfo], twins: Mapping[str, TensorSource]
) -> Iterator[Callable[[], Look]]:
    summed = tensors.format is Format.APR
    cached = tensors.is_cached()
    for info in infos:
        sides = [tensors.raw(info.name)]
        if cached and info.name in twins:
            twin = twins[info.name].data()
            sides += [twin] if is_cached(twin) else []
        for piece in pieces_of(info):
            if not cached:
                bring(piece.part_of(sides[0]))
            yield partial(_look, piece, sides, summed)


def _look(piece: Piece, sides: Sequence[Bytes], summed: bool) -> Look:
    """Look at a piece of a tensor, and at that of its twin if it has one."""
    tally: Tally | None = Tally(piece)
    same, checksum = len(sides) > 1, 0
    with given_back(*map(piece.part_of, sides)):
        for chunk in piece.chunks():
            data, *others = (side[chunk.begin : chunk.end] for side in sides)
            same = same and all(equal(data, other) for other in others)
            if summed:
                checksum = crc32(data, checksum)
            tally = _added(tally, sides[0], chunk)
    part = Summed(piece.info.offset + piece.begin, piece.nbytes, checksum)
    statistics = None if tally is None else tally.statistics()
    return Look(piece.info, statistics, same, (part,) if summed else ())


def _added(tally: Tally | None, raw: Bytes, chunk: Chunk) -> Tally | None:
    """Count a chunk; None when there is no decoder for it."""
    try:
        if tally is not None:
            tally.add(raw, chunk)
    except ArtifactError as error:
        if error.fault is not ArtifactFault.UNSUPPORTED:
            raise
        return None
    return tally
