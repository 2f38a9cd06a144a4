"""What is in a tensor, at the speed at which memory can be read.

Zeros, infinities and the largest magnitude show in the bits of a floating-point number: without
its sign bit it is an unsigned integer that grows with the magnitude, with everything not finite on
top. So nothing is converted; only quantised types are decoded, in pieces that stay in the cache.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytest_aprqa.artifact.bit_ends import Ends, ends_of
from pytest_aprqa.artifact.dequantize import apr_q4_scales, decode_plain
from pytest_aprqa.artifact.dtypes import PLAIN_BYTES
from pytest_aprqa.artifact.tensor_file import DType, TensorInfo
from pytest_aprqa.artifact.tensor_pieces import Chunk, Piece, pieces_of

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _FloatBits:
    """How a floating-point type lies in its bits."""

    integer: np.dtype[np.unsignedinteger]
    not_finite: int
    """Smallest magnitude that is infinite or NaN."""

    @property
    def sign(self) -> int:
        return 1 << (8 * self.integer.itemsize - 1)

    @property
    def magnitude(self) -> int:
        """Mask of everything but the sign."""
        return self.sign - 1

    def peak(self, ends: Ends) -> int:
        """Return the largest magnitude.

        Without a sign the largest is that of a negative number if there is any, and with one that
        of a positive; what is left without the sign bit never exceeds the largest magnitude.
        """
        return max(ends.largest & self.magnitude, ends.signed_largest & self.magnitude)


_FLOATS: dict[DType, _FloatBits] = {
    DType.F64: _FloatBits(np.dtype(np.uint64), 0x7FF0_0000_0000_0000),
    DType.F32: _FloatBits(np.dtype(np.uint32), 0x7F80_0000),
    DType.F16: _FloatBits(np.dtype(np.uint16), 0x7C00),
    DType.BF16: _FloatBits(np.dtype(np.uint16), 0x7F80),
    DType.F8_E5M2: _FloatBits(np.dtype(np.uint8), 0x7C),
    DType.F8_E4M3: _FloatBits(np.dtype(np.uint8), 0x7F),
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


def is_float(dtype: DType) -> bool:
    """Whether elements are floating-point numbers that each stand for themselves."""
    return dtype in _FLOATS


def holds_weights(dtype: DType) -> bool:
    """Whether statistics say something: integers and booleans hold indices and codes."""
    return is_float(dtype) or dtype not in PLAIN_BYTES


def is_finite(data: Bytes, dtype: DType) -> bool:
    """Whether data is of an unquantised floating-point type and none of it is NaN or infinite."""
    kind = _FLOATS.get(dtype)
    if kind is None:
        return False
    if not data.size:
        return True
    return kind.peak(ends_of(data.view(kind.integer))) < kind.not_finite


class Tally:
    """Counts what is in a piece of a tensor, one chunk after the other.

    Args:
        piece: to look at.
    """

    def __init__(self, piece: Piece) -> None:
        self._piece = piece
        self._dtype = piece.info.dtype if is_float(piece.info.dtype) else DType.F32
        self._kind = _FLOATS[self._dtype]
        self._ends: Ends | None = None
        self._elements = self._zeros = self._not_finite = self._rows = self._dead_rows = 0

    def add(self, raw: Bytes, chunk: Chunk) -> None:
        """Count a chunk.

        Args:
            raw: the data of the whole tensor.
            chunk: of the piece.

        Raises:
            ArtifactError: UNSUPPORTED, when there is no decoder for the type.
        """
        data = raw[chunk.begin : chunk.end]
        if self._piece.info.dtype is not self._dtype:
            if self._piece.info.dtype is DType.APR_Q4:
                # By the format's rule they decode to zeros.
                self._not_finite += int(np.count_nonzero(~np.isfinite(apr_q4_scales(data))))
            data = self._piece.decode(raw, chunk).view(np.uint8)
        self._count(data.view(self._kind.integer))

    def _count(self, bits: npt.NDArray[np.unsignedinteger]) -> None:
        ends, kind, row = ends_of(bits), self._kind, self._piece.row
        self._ends = ends if self._ends is None else self._ends | ends
        self._elements += bits.size
        if kind.peak(ends) >= kind.not_finite:
            self._not_finite += int(np.count_nonzero((bits & kind.magnitude) >= kind.not_finite))
        # A 0 and a -0 are each the least of one way to read the bits.
        zeros = 0 if ends.least else bits.size - int(np.count_nonzero(bits))
        if ends.signed_least == -kind.sign:
            zeros += int(np.count_nonzero(bits == kind.sign))
        self._zeros += zeros
        if row:
            self._rows += bits.size // row
        if row and zeros >= row:
            alive = (bits & kind.magnitude).reshape(-1, row).any(axis=1)
            self._dead_rows += alive.size - int(np.count_nonzero(alive))

    def statistics(self) -> Statistics:
        """Return what was counted so far."""
        if self._ends is None:
            return Statistics()
        constant = self._ends.largest == self._ends.least
        return Statistics(
            self._elements,
            self._zeros,
            self._not_finite,
            self._rows,
            self._dead_rows,
            self._value(self._ends.least) if constant else None,
            self._value(self._kind.peak(self._ends)),
        )

    def _value(self, bits: int) -> float:
        one = np.array([bits], self._kind.integer)
        with np.errstate(over="ignore"):
            return float(decode_plain(one.view(np.uint8), self._dtype)[0])


def l2_norm(info: TensorInfo, raw: Bytes) -> float:
    """Return the square root of the sum of squares of a tensor, computed in float64."""
    total = 0.0
    for piece in pieces_of(info):
        for chunk in piece.chunks():
            values = piece.decode(raw, chunk).astype(np.float64)
            total += float(values @ values)
    return float(np.sqrt(total))
