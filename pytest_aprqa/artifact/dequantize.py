"""Decoders: the bytes of a tensor to float32.

The types that models really ship in have numpy kernels of their own here, which work on pieces
that stay in the processor's cache; the rare ones go through gguf-py. The layouts of the blocks are
GGML's (`ggml-common.h`) and, for APR_Q4 and APR_Q8, those of the APR version 2 format.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.tensor_file import DType

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Kernel = Callable[[Bytes, Floats], None]

_CHUNK_ELEMENTS = 1 << 18
_LOW_NIBBLES = np.uint64(0x0F0F0F0F0F0F0F0F)
_PAIRS = np.uint64(0x3030303030303030)
_FOUR = np.uint64(4)
_SMALLEST_NORMAL_HALF = np.float32(2.0**-14)


def decode_plain(raw: Bytes, dtype: DType) -> Floats:
    """Decode a type that is not quantised; F32 comes back as a view of `raw`."""
    if dtype is DType.F32:
        return raw.view(np.float32)
    if dtype is DType.BF16:
        halves = raw.view(np.uint16)
        return np.left_shift(halves, 16, dtype=np.uint32).view(np.float32)
    if dtype is DType.F8_E5M2:
        # An E5M2 byte is the upper half of an F16.
        return np.left_shift(raw, 8, dtype=np.uint16).view(np.float16).astype(np.float32)
    if dtype is DType.F8_E4M3:
        return _e4m3_values()[raw]
    return raw.view(_NUMPY_TYPES[dtype]).astype(np.float32)


_NUMPY_TYPES: dict[DType, np.dtype[np.generic]] = {
    DType.F64: np.dtype("<f8"),
    DType.F16: np.dtype("<f2"),
    DType.I64: np.dtype("<i8"),
    DType.I32: np.dtype("<i4"),
    DType.I16: np.dtype("<i2"),
    DType.I8: np.dtype("i1"),
    DType.U64: np.dtype("<u8"),
    DType.U32: np.dtype("<u4"),
    DType.U16: np.dtype("<u2"),
    DType.U8: np.dtype("u1"),
    DType.BOOL: np.dtype("u1"),
}


@cache
def _e4m3_values() -> Floats:
    """Return the 256 values of F8_E4M3 (bias 7, no infinities, 0x7f and 0xff are NaN)."""
    codes = np.arange(256)
    exponent, mantissa = (codes >> 3) & 15, codes & 7
    normal = np.ldexp(1 + mantissa / 8, exponent - 7)
    values = np.where(exponent == 0, np.ldexp(mantissa / 8, -6), normal)
    values[(codes & 0x7F) == 0x7F] = np.nan
    return np.where(codes & 0x80, -values, values).astype(np.float32)


def decode_blocks(blocks: Bytes, dtype: DType, elements: int) -> Floats:
    """Decode whole GGML blocks.

    Args:
        blocks: one block a row.
        dtype: a block-quantised GGML type.
        elements: per block.

    Returns:
        One block's values a row.

    Raises:
        ArtifactError: UNSUPPORTED, when neither we nor gguf-py decode the type.
    """
    kernel = _KERNELS.get(dtype)
    if kernel is None:
        return _decode_with_gguf(blocks, dtype, elements)
    values = np.empty((len(blocks), elements), np.float32)
    step = _CHUNK_ELEMENTS // elements
    # A broken scale is for the integrity check to report, not a reason to warn.
    with np.errstate(invalid="ignore", over="ignore"):
        for start in range(0, len(blocks), step):
            kernel(blocks[start : start + step], values[start : start + step])
    return values


def _decode_with_gguf(blocks: Bytes, dtype: DType, elements: int) -> Floats:
    from gguf.constants import GGMLQuantizationType
    from gguf.quants import dequantize

    if not len(blocks):
        return np.empty((0, elements), np.float32)
    try:
        with np.errstate(invalid="ignore", over="ignore"):
            values: Floats = dequantize(blocks, GGMLQuantizationType[dtype.value])
    except NotImplementedError:
        raise ArtifactError(
            ArtifactFault.UNSUPPORTED, f"there is no decoder for type {dtype}"
        ) from None
    return values


def decode_apr_q8(raw: Bytes) -> Floats:
    """Decode APR_Q8: a float32 scale, then one signed byte an element."""
    if not raw.size:
        return np.empty(0, np.float32)
    values = raw[4:].view(np.int8).astype(np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        values *= raw[:4].view(np.float32)
    return values


def apr_q4_scales(raw: Bytes) -> Floats:
    """Return the scales of APR_Q4 data as stored, one per block."""
    scales: Floats = raw.view(_APR_Q4)["d"].astype(np.float32)
    return scales


def decode_apr_q4(raw: Bytes) -> Floats:
    """Decode APR_Q4, the filling of the last block included.

    A scale that is NaN, infinite or subnormal counts as 0, as upstream's reader has it.
    """
    scales = apr_q4_scales(raw)
    scales[~(np.isfinite(scales) & (np.abs(scales) >= _SMALLEST_NORMAL_HALF))] = 0
    packed = raw.view(_APR_Q4)["quants"].reshape(-1, 16)
    nibbles = np.empty((len(packed), 16, 2), np.uint8)
    np.bitwise_and(packed, 15, out=nibbles[:, :, 0])
    np.right_shift(packed, 4, out=nibbles[:, :, 1])
    nibbles -= 8
    values = nibbles.view(np.int8).reshape(-1, 32).astype(np.float32)
    values *= scales[:, None]
    return values.reshape(-1)


# Blocks as records. Bytes that are worked on as a whole are "V" fields: numpy copies them at once.
_APR_Q4 = np.dtype([("d", "<f2"), ("quants", "u1", 16)])
_Q4_0 = np.dtype([("d", "<f2"), ("quants", "V16")])
_Q4_1 = np.dtype([("d", "<f2"), ("m", "<f2"), ("quants", "V16")])
_Q8_0 = np.dtype([("d", "<f2"), ("quants", "i1", 32)])
_Q4_K = np.dtype([("d", "<f2"), ("dmin", "<f2"), ("scales", "V12"), ("quants", "V128")])
_Q6_K = np.dtype([("low", "V128"), ("high", "V64"), ("scales", "i1", 16), ("d", "<f2")])


def _words(field: npt.NDArray[np.void]) -> npt.NDArray[np.uint64]:
    """Return a "V" field of all blocks as a new flat array of 64-bit words, in order."""
    return field.reshape(-1).copy().view(np.uint64)


def _nibbles(packed: npt.NDArray[np.uint64], group: str) -> npt.NDArray[np.uint8]:
    """Unpack nibbles group by group: the low ones of a group, then its high ones.

    Args:
        packed: the bytes as words; overwritten.
        group: the bytes of one group as a "V" type, for instance "V16".
    """
    nibbles = np.empty((packed.nbytes // np.dtype(group).itemsize, 2), group)
    nibbles[:, 0] = (packed & _LOW_NIBBLES).view(group)
    packed >>= _FOUR
    packed &= _LOW_NIBBLES
    nibbles[:, 1] = packed.view(group)
    return nibbles.view(np.uint8).reshape(-1)


def _scaled(values: Floats, quants: npt.NDArray[np.integer[Any]], scales: Floats) -> Floats:
    """Write quants times scales to `values`; return them with one row per scale."""
    values.reshape(-1)[...] = quants.reshape(-1)
    groups = values.reshape(scales.size, -1)
    groups *= scales.reshape(-1, 1)
    return groups


def _q4_0(blocks: Bytes, values: Floats) -> None:
    """Values d * (q - 8); elements i and i + 16 in byte i."""
    fields = blocks.view(_Q4_0)
    quants = _nibbles(_words(fields["quants"]), "V16")
    quants -= 8
    _scaled(values, quants.view(np.int8), fields["d"].astype(np.float32))


def _q4_1(blocks: Bytes, values: Floats) -> None:
    """Values d * q + m; nibbles as in Q4_0."""
    fields = blocks.view(_Q4_1)
    quants = _nibbles(_words(fields["quants"]), "V16")
    groups = _scaled(values, quants, fields["d"].astype(np.float32))
    groups += fields["m"].astype(np.float32)


def _q8_0(blocks: Bytes, values: Floats) -> None:
    """Values d * q."""
    fields = blocks.view(_Q8_0).reshape(-1)
    values[...] = fields["quants"]
    flat = values.reshape(-1)
    # In the cache numpy multiplies one long row quicker than many of 32.
    flat *= np.repeat(fields["d"].astype(np.float32), values.shape[1])


def _six_bit_scales(packed: npt.NDArray[np.void]) -> tuple[Bytes, Bytes]:
    """Return the eight 6-bit scales and the eight 6-bit minima of Q4_K blocks' 12 bytes.

    Four of them are worked on at once, as the bytes of a word.
    """
    words = np.ascontiguousarray(packed.reshape(-1)).view("<u4").reshape(-1, 3)
    low, middle, high = words[:, 0], words[:, 1], words[:, 2]
    scales = np.empty((len(words), 2), np.uint32)
    scales[:, 0] = low & 0x3F3F3F3F
    scales[:, 1] = (high & 0x0F0F0F0F) | ((low >> 2) & 0x30303030)
    minima = np.empty_like(scales)
    minima[:, 0] = middle & 0x3F3F3F3F
    minima[:, 1] = ((high >> 4) & 0x0F0F0F0F) | ((middle >> 2) & 0x30303030)
    return scales.view(np.uint8), minima.view(np.uint8)


def _q4_k(blocks: Bytes, values: Floats) -> None:
    """Values d * scale * q - dmin * minimum, in eight sub-blocks of 32.

    Sub-block 2c lies in the low nibbles of the c-th 32 bytes, 2c + 1 in the high ones.
    """
    fields = blocks.view(_Q4_K)
    scales, minima = _six_bit_scales(fields["scales"])
    quants = _nibbles(_words(fields["quants"]), "V32")
    groups = _scaled(values, quants, fields["d"].astype(np.float32) * scales)
    groups -= (fields["dmin"].astype(np.float32) * minima).reshape(-1, 1)


def _q6_k(blocks: Bytes, values: Floats) -> None:
    """Values d * scale * (q - 32), in sixteen sub-blocks of 16.

    Each half of a block is four quarters of 32: the low nibbles of 64 bytes, then the high ones;
    the upper two bits of quarter k are bits 2k and 2k + 1 of 32 bytes that the quarters share.
    """
    fields = blocks.view(_Q6_K)
    quants = _nibbles(_words(fields["low"]), "V64")
    high = _words(fields["high"])
    pairs = np.empty((len(high) // 4, 4), "V32")
    for quarter in range(4):
        shift = 4 - 2 * quarter
        shifted = high << np.uint64(shift) if shift >= 0 else high >> np.uint64(-shift)
        pairs[:, quarter] = (shifted & _PAIRS).view("V32")
    quants |= pairs.view(np.uint8).reshape(-1)
    signed = quants.view(np.int8)
    signed -= 32
    _scaled(values, signed, fields["d"].astype(np.float32) * fields["scales"][:, 0])


_KERNELS: dict[DType, Kernel] = {
    DType.Q4_0: _q4_0,
    DType.Q4_1: _q4_1,
    DType.Q8_0: _q8_0,
    DType.Q4_K: _q4_k,
    DType.Q6_K: _q6_k,
}
