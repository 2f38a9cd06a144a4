"""What is in a tensor, at the speed at which memory can be read.

Zeros, infinities and the largest magnitude show in the bits of a floating-point number: without
its sign bit it is an unsigned integer that grows with the magnitude, with everything not finite on
top. So nothing is converted; only quantised types are decoded, in pieces that stay in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import numpy.typing as npt

from pytest_aprqa.artifact.dequantize import apr_q4_scales, decode_plain
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


@dataclass(frozen=True, slots=True)
class _FloatBits:
    """How a floating-point type lies in its bits."""

    integer: np.dtype[np.unsignedinteger]
    magnitude: int
    """Mask of everything but the sign."""
    not_finite: int
    """Smallest magnitude that is infinite or NaN."""


_FLOATS: dict[DType, _FloatBits] = {
    DType.F64: _FloatBits(np.dtype(np.uint64), 0x7FFF_FFFF_FFFF_FFFF, 0x7FF0_0000_0000_0000),
    DType.F32: _FloatBits(np.dtype(np.uint32), 0x7FFF_FFFF, 0x7F80_0000),
    DType.F16: _FloatBits(np.dtype(np.uint16), 0x7FFF, 0x7C00),
    DType.BF16: _FloatBits(np.dtype(np.uint16), 0x7FFF, 0x7F80),
    DType.F8_E5M2: _FloatBits(np.dtype(np.uint8), 0x7F, 0x7C),
    DType.F8_E4M3: _FloatBits(np.dtype(np.uint8), 0x7F, 0x7F),
}


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a tensor, or a piece of one, holds.

    Attributes:
        elements: looked at; 0 for an empty tensor.
        zeros: that are 0 or -0.
        not_finite: that are NaN or infinite, broken scales of blocks included.
        rows: along the last dimension; 0 where rows were not told apart (one dimension, or rows
            too long to hold).
        dead_rows: that are all zero.
        constant: the value all elements share, or None when they differ.
        peak: the largest magnitude; NaN or infinity where `not_finite`.
    """

    elements: int = 0
    zeros: int = 0
    not_finite: int = 0
    rows: int = 0
    dead_rows: int = 0
    constant: float | None = None
    peak: float = 0.0

    def __add__(self, other: Statistics) -> Statistics:
        """Return the statistics of both pieces together."""
        if not self.elements or not other.elements:
            return self if self.elements else other
        return Statistics(
            self.elements + other.elements,
            self.zeros + other.zeros,
            self.not_finite + other.not_finite,
            self.rows + other.rows,
            self.dead_rows + other.dead_rows,
            self.constant if self.constant == other.constant else None,
            max(self.peak, other.peak),
        )


def holds_weights(dtype: DType) -> bool:
    """Whether statistics say something: integers and booleans hold indices and codes."""
    return dtype in _FLOATS or dtype not in PLAIN_BYTES


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

    def chunks(self, raw: Bytes) -> Iterator[tuple[Bytes, int]]:
        """Yield data and number of elements of one chunk after the other."""
        header = APR_Q8_HEADER if self.info.dtype is DType.APR_Q8 else 0
        total = prod(self.info.shape)
        step = max(1, _most_elements(self.info.dtype) // self.unit_elements)
        for first in range(self.first, self.last, step):
            last = min(first + step, self.last)
            elements = min(last * self.unit_elements, total) - first * self.unit_elements
            data = raw[header + first * self.unit_bytes : header + last * self.unit_bytes]
            # The one scale of APR_Q8 belongs to every chunk.
            yield (np.concatenate([raw[:header], data]) if header else data), elements

    def decode(self, data: Bytes, elements: int) -> npt.NDArray[np.float32]:
        """Return the values of one chunk, flat."""
        shape = (elements // self.row, self.row) if self.filled_up else (elements,)
        return to_float32(data, self.info.dtype, shape).reshape(-1)


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


def is_finite(data: Bytes, dtype: DType) -> bool:
    """Whether data is of an unquantised floating-point type and none of it is NaN or infinite."""
    kind = _FLOATS.get(dtype)
    if kind is None:
        return False
    return not data.size or _peak(data.view(kind.integer), kind) < kind.not_finite


def _peak(bits: npt.NDArray[np.unsignedinteger], kind: _FloatBits) -> int:
    """Return the largest magnitude.

    The largest of the bits read without a sign is negative if any number is, and with one positive
    if any is; what is left of it without its sign bit never exceeds the largest magnitude.
    """
    signed = bits.view(np.dtype(f"i{bits.itemsize}"))
    return max(int(bits.max()) & kind.magnitude, int(signed.max()) & kind.magnitude)


def look_at(piece: Piece, raw: Bytes) -> Statistics:
    """Return the statistics of a piece.

    Args:
        piece: what to look at.
        raw: the data of the whole tensor.

    Raises:
        ArtifactError: UNSUPPORTED, when there is no decoder for the type.
    """
    found = Statistics()
    dtype = piece.info.dtype
    for data, elements in piece.chunks(raw):
        if dtype in _FLOATS:
            found += _look_at_floats(data, dtype, piece.row)
            continue
        values = piece.decode(data, elements)
        seen = _look_at_floats(values.view(np.uint8), DType.F32, piece.row)
        found += _with_scales(seen, data) if dtype is DType.APR_Q4 else seen
    return found


def _look_at_floats(data: Bytes, dtype: DType, row: int) -> Statistics:
    kind = _FLOATS[dtype]
    bits = data.view(kind.integer)
    peak = _peak(bits, kind)
    broken = zeros = dead = 0
    if peak >= kind.not_finite:
        broken = int(
            np.count_nonzero((bits & kind.integer.type(kind.magnitude)) >= kind.not_finite)
        )
    if _may_hold_zero(bits):
        magnitudes = np.bitwise_and(bits, kind.integer.type(kind.magnitude))
        zeros = magnitudes.size - int(np.count_nonzero(magnitudes))
        if row and zeros >= row:
            dead = magnitudes.size // row - int(magnitudes.reshape(-1, row).any(axis=1).sum())
    return Statistics(
        elements=bits.size,
        zeros=zeros,
        not_finite=broken,
        rows=bits.size // row if row else 0,
        dead_rows=dead,
        constant=_value(bits[:1], dtype) if _all_equal(bits) else None,
        peak=_value(np.array([peak], kind.integer), dtype),
    )


def _may_hold_zero(bits: npt.NDArray[np.unsignedinteger]) -> bool:
    """Whether a 0 or a -0 is among the numbers; each is the least of one way to read the bits."""
    signed = bits.view(np.dtype(f"i{bits.itemsize}"))
    return not bits.min() or int(signed.min()) == np.iinfo(signed.dtype).min


def _all_equal(bits: npt.NDArray[np.unsignedinteger]) -> bool:
    first = bits[0]
    return bool(first == bits[-1] and first == bits[bits.size // 2] and (bits == first).all())


def _value(bits: npt.NDArray[np.unsignedinteger], dtype: DType) -> float:
    with np.errstate(over="ignore"):
        return float(decode_plain(bits.view(np.uint8), dtype)[0])


def _with_scales(seen: Statistics, data: Bytes) -> Statistics:
    """Add the APR_Q4 scales that are not finite, which decode to zeros by the format's rule."""
    broken = int(np.count_nonzero(~np.isfinite(apr_q4_scales(data))))
    return replace(seen, not_finite=seen.not_finite + broken)


def l2_norm(info: TensorInfo, raw: Bytes) -> float:
    """Return the square root of the sum of squares of a tensor, computed in float64."""
    total = 0.0
    for piece in pieces_of(info):
        for data, elements in piece.chunks(raw):
            values = piece.decode(data, elements).astype(np.float64)
            total += float(values @ values)
    return float(np.sqrt(total))
