"""Looking at every byte of a file's weights once.

While a chunk is in the cache, all is asked of it that anyone wants to know: its statistics, its
part of the file's checksum, and whether the reference holds the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

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


@dataclass(frozen=True, slots=True)
class Twin:
    """A tensor of another file that should hold the same.

    Attributes:
        source: of the same dtype and shape.
        order: for each row of the one its row in the other, shape (rows,); None for the same.
            Chunks must be of whole rows then.
    """

    source: TensorSource
    order: npt.NDArray[np.intp] | None = None

    def open(self) -> _OpenTwin:
        return _OpenTwin(self.source.data(), self.order)


class _OpenTwin(NamedTuple):
    data: Bytes
    order: npt.NDArray[np.intp] | None

    def part_of(self, chunk: Chunk) -> Bytes:
        """Return the bytes that a chunk should hold."""
        if self.order is None:
            return self.data[chunk.begin : chunk.end]
        rows = self.data.reshape(len(self.order), -1)
        first, last = chunk.begin // rows.shape[1], chunk.end // rows.shape[1]
        return rows.take(self.order[first:last], axis=0).reshape(-1)


def look_through(tensors: TensorFile, twins: Mapping[str, Twin] | None = None) -> list[Look]:
    """Look at every tensor that holds weights, several threads side by side.

    Args:
        tensors: an open file.
        twins: tensors of another file, of the same dtypes and shapes, by the names in this one.
            They are looked at only where both are in memory: a disk reads one file at a time best.

    Returns:
        What was seen of each tensor, in file order.
    """
    twins = twins or {}
    infos = [info for info in tensors.tensors.values() if holds_weights(info.dtype)]
    looks = iter(side_by_side(_jobs(tensors, infos, twins)))
    return [
        sum((next(looks) for _ in pieces_of(info)), Look(info, Statistics(), info.name in twins))
        for info in infos
    ]


def _jobs(
    tensors: TensorFile, infos: Iterable[TensorInfo], twins: Mapping[str, Twin]
) -> Iterator[Callable[[], Look]]:
    summed = tensors.format is Format.APR
    cached = tensors.is_cached()
    for info in infos:
        raw = tensors.raw(info.name)
        twin = twins[info.name].open() if cached and info.name in twins else None
        if twin is not None and not is_cached(twin.data):
            twin = None
        for piece in pieces_of(info):
            if not cached:
                bring(piece.part_of(raw))
            yield partial(_look, piece, raw, twin, summed)


def _look(piece: Piece, raw: Bytes, twin: _OpenTwin | None, summed: bool) -> Look:
    """Look at a piece of a tensor, and at that of its twin if it has one."""
    tally: Tally | None = Tally(piece)
    same, checksum = twin is not None, 0
    sides = [raw] if twin is None else [raw, twin.data]
    with given_back(*map(piece.part_of, sides)):
        for chunk in piece.chunks():
            data = raw[chunk.begin : chunk.end]
            if same and twin is not None:
                same = equal(data, twin.part_of(chunk))
            if summed:
                checksum = crc32(data, checksum)
            tally = _added(tally, raw, chunk)
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
