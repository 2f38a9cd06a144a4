"""Decoders: the bytes of a tensor to float32.

The types that models really ship in have numpy kernels of their own here, which work on pieces
that stay in the processor's cache; the rare ones go through gguf-py. The layouts of the blocks are
GGML's (`ggml-common.h`) and, for APR_Q4 and APR_Q8, those of the APR version 2 format.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt

from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.tensor_file import DType

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Kernel = Callable[[Bytes, Floats], None]

_CHUNK_ELEMENTS = 1 << 16
_LOW_NIBBLES = np.uint64(0x0F0F0F0F0F0F0F0F)
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
    return _halves(raw.reshape(-1, 18), 0)


def decode_apr_q4(raw: Bytes) -> Floats:
    """Decode APR_Q4, the filling of the last block included.

    A scale that is NaN, infinite or subnormal counts as 0, as upstream's reader has it.
    """
    blocks = raw.reshape(-1, 18)
    scales = apr_q4_scales(raw)
    scales[~(np.isfinite(scales) & (np.abs(scales) >= _SMALLEST_NORMAL_HALF))] = 0
    nibbles = np.empty((len(blocks), 16, 2), np.uint8)
    np.bitwise_and(blocks[:, 2:], 15, out=nibbles[:, :, 0])
    np.right_shift(blocks[:, 2:], 4, out=nibbles[:, :, 1])
    nibbles -= 8
    values = nibbles.view(np.int8).reshape(-1, 32).astype(np.float32)
    values *= scales[:, None]
    return values.reshape(-1)


def _halves(blocks: Bytes, at: int) -> Floats:
    """Return the float16 at byte `at` of each block as float32."""
    return np.ascontiguousarray(blocks[:, at : at + 2]).view(np.float16)[:, 0].astype(np.float32)


def _nibbles(blocks: Bytes, at: int) -> Bytes:
    """Unpack 16 bytes at `at` of each block: the low nibbles first, then the high ones."""
    packed = np.ascontiguousarray(blocks[:, at : at + 16]).view(np.uint64)
    nibbles = np.empty((len(blocks), 4), np.uint64)
    np.bitwise_and(packed, _LOW_NIBBLES, out=nibbles[:, :2])
    packed >>= _FOUR
    np.bitwise_and(packed, _LOW_NIBBLES, out=nibbles[:, 2:])
    return nibbles.view(np.uint8)


def _q4_0(blocks: Bytes, values: Floats) -> None:
    """Values d * (q - 8); d float16, then 16 bytes with elements i and i + 16 in byte i."""
    quants = _nibbles(blocks, 2)
    quants -= 8
    values[...] = quants.view(np.int8)
    values *= _halves(blocks, 0)[:, None]


def _q4_1(blocks: Bytes, values: Floats) -> None:
    """Values d * q + m; d and m float16, then nibbles as in Q4_0."""
    values[...] = _nibbles(blocks, 4)
    values *= _halves(blocks, 0)[:, None]
    values += _halves(blocks, 2)[:, None]


def _q8_0(blocks: Bytes, values: Floats) -> None:
    """Values d * q; d float16, then 32 signed bytes."""
    values[...] = blocks[:, 2:].view(np.int8)
    values *= _halves(blocks, 0)[:, None]


def unpack_q4_k_scales(packed: Bytes) -> tuple[Bytes, Bytes]:
    """Return the eight 6-bit scales and the eight 6-bit minima of Q4_K blocks' 12 bytes."""
    low, middle, high = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    scales = np.concatenate([low & 63, (high & 15) | ((low >> 6) << 4)], axis=1)
    minima = np.concatenate([middle & 63, (high >> 4) | ((middle >> 6) << 4)], axis=1)
    return scales, minima


def _q4_k(blocks: Bytes, values: Floats) -> None:
    """Values d * scale * q - dmin * minimum, in eight sub-blocks of 32.

    d, dmin float16, 12 bytes of scales, then 4 x 32 bytes: sub-block 2c in the low nibbles of the
    c-th 32 bytes, 2c + 1 in the high ones.
    """
    scales, minima = unpack_q4_k_scales(blocks[:, 4:16])
    factors = _halves(blocks, 0)[:, None] * scales
    offsets = _halves(blocks, 2)[:, None] * minima
    packed = np.ascontiguousarray(blocks[:, 16:]).view(np.uint64).reshape(-1, 4, 4)
    nibbles = np.empty((len(blocks), 4, 2, 4), np.uint64)
    np.bitwise_and(packed, _LOW_NIBBLES, out=nibbles[:, :, 0])
    packed >>= _FOUR
    np.bitwise_and(packed, _LOW_NIBBLES, out=nibbles[:, :, 1])
    values[...] = nibbles.view(np.uint8).reshape(-1, 256)
    groups = values.reshape(-1, 32)
    groups *= factors.reshape(-1, 1)
    groups -= offsets.reshape(-1, 1)


def _q6_k(blocks: Bytes, values: Floats) -> None:
    """Values d * scale * (q - 32), in sixteen sub-blocks of 16.

    128 bytes of low nibbles, 64 bytes of high bit pairs, 16 signed scales, d float16 last.
    """
    low = np.ascontiguousarray(blocks[:, :128]).view(np.uint64).reshape(-1, 2, 2, 4)
    high = np.ascontiguousarray(blocks[:, 128:192]).view(np.uint64).reshape(-1, 2, 4)
    quants = np.empty((len(blocks), 2, 2, 2, 4), np.uint64)
    np.bitwise_and(low, _LOW_NIBBLES, out=quants[:, :, 0])
    low >>= _FOUR
    np.bitwise_and(low, _LOW_NIBBLES, out=quants[:, :, 1])
    quarters = quants.reshape(-1, 2, 4, 4)
    for quarter, mask in enumerate(_HIGH_PAIRS):
        pairs = high & mask
        shift = np.uint64(abs(4 - 2 * quarter))
        quarters[:, :, quarter] |= pairs << shift if quarter < 2 else pairs >> shift
    signed = quants.view(np.int8).reshape(-1, 256)
    signed -= 32
    values[...] = signed
    factors = _halves(blocks, 208)[:, None] * blocks[:, 192:208].view(np.int8)
    groups = values.reshape(-1, 16)
    groups *= factors.reshape(-1, 1)


_HIGH_PAIRS = tuple(np.uint64(0x0303030303030303 << 2 * quarter) for quarter in range(4))
"""Masks of the bit pair that each quarter of half a Q6_K block takes from its 32 bytes."""

_KERNELS: dict[DType, Kernel] = {
    DType.Q4_0: _q4_0,
    DType.Q4_1: _q4_1,
    DType.Q8_0: _q8_0,
    DType.Q4_K: _q4_k,
    DType.Q6_K: _q6_k,
}
