"""Cutting tensors into parts that threads can take turns at and that stay in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pytest_aprqa.artifact.dtypes import (
    APR_Q8_HEADER,
    PLAIN_BYTES,
    block_of,
    is_ggml_block,
    to_float32,
)
from pytest_aprqa.artifact.tensor_file import DType, TensorInfo

Bytes = npt.NDArray[np.uint8]

CHUNK_BYTES = 1 << 22
_DECODED_ELEMENTS = 1 << 18
_PIECE_ELEMENTS = 1 << 23
"""Bytes, and decoded elements, looked at together, so that they stay in the cache and threads
seldom wait for the interpreter's lock; and elements in one turn of a thread."""


class Chunk(NamedTuple):
    """A part of a piece that stays in the cache: bytes of the tensor's data, and how many elements."""

    begin: int
    end: int
    elements: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a tensor that can be looked at on its own: units `first` to `last`.

    Attributes:
        info: the tensor.
        unit_elements, unit_bytes: what cannot be cut further: a row, a block, or as many rows as
            make whole blocks.
        row: length of a row, or 0 where rows are not told apart.
        filled_up: every row is filled up to whole blocks, as APR does.
    """

    info: TensorInfo
    unit_elements: int
    unit_bytes: int
    row: int
    filled_up: bool
    first: int
    last: int

    def _offset(self, unit: int) -> int:
        """Return where a unit begins in the tensor's data: behind the one scale of APR_Q8."""
        return min(_header_of(self.info) + unit * self.unit_bytes, self.info.nbytes)

    @property
    def begin(self) -> int:
        """Where it begins in the data of its tensor."""
        return self._offset(self.first)

    @property
    def nbytes(self) -> int:
        return self._offset(self.last) - self.begin

    def part_of(self, raw: Bytes) -> Bytes:
        """Return its part of the data of its tensor."""
        return raw[self.begin : self._offset(self.last)]

    def chunks(self) -> Iterator[Chunk]:
        """Yield what is looked at together, one after the other."""
        total = prod(self.info.shape)
        step = max(1, _most_elements(self.info.dtype) // self.unit_elements)
        for first in range(self.first, self.last, step):
            last = min(first + step, self.last)
            elements = min(last * self.unit_elements, total) - first * self.unit_elements
            yield Chunk(self._offset(first), self._offset(last), elements)

    def decode(self, raw: Bytes, chunk: Chunk) -> npt.NDArray[np.float32]:
        """Return the values of a chunk, flat.

        Raises:
            ArtifactError: UNSUPPORTED, when there is no decoder for the type.
        """
        data = raw[chunk.begin : chunk.end]
        if header := _header_of(self.info):
            data = np.concatenate([raw[:header], data])
        elements = chunk.elements
        shape = (elements // self.row, self.row) if self.filled_up else (elements,)
        return to_float32(data, self.info.dtype, shape).reshape(-1)


def _header_of(info: TensorInfo) -> int:
    return APR_Q8_HEADER if info.dtype is DType.APR_Q8 else 0


def _most_elements(dtype: DType) -> int:
    """Return how many elements are looked at together; quantised ones become float32."""
    size = PLAIN_BYTES.get(dtype)
    return CHUNK_BYTES // size if size else _DECODED_ELEMENTS


def pieces_of(info: TensorInfo) -> list[Piece]:
    """Cut a tensor into pieces that threads can take turns at; none when it is empty."""
    total = prod(info.shape)
    if not total:
        return []
    block = block_of(info.dtype)
    row = info.shape[-1] if len(info.shape) > 1 else 0
    cuts_blocks = bool(row % block.elements)
    filled_up = cuts_blocks and len(info.shape) == 2 and is_ggml_block(info.dtype)
    if row > _most_elements(info.dtype) and not filled_up:
        row = 0
    if not row:
        elements, size = block.elements, block.nbytes
    elif filled_up or not cuts_blocks:
        elements, size = row, -(-row // block.elements) * block.nbytes
    else:
        elements, size = row * block.elements, row * block.nbytes
    units = -(-total // elements)
    step = max(1, _PIECE_ELEMENTS // elements)
    return [
        Piece(info, elements, size, row, filled_up, first, min(first + step, units))
        for first in range(0, units, step)
    ]
