"""Encoders: float32 to the bytes of a tensor."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.tensor_file import DType

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

GGUF_ENCODERS = frozenset({DType.Q4_0, DType.Q4_1, DType.Q5_0, DType.Q5_1, DType.Q8_0})
"""The block types that go through gguf-py's encoders."""


def encode_plain(values: Floats, dtype: DType) -> Bytes:
    """Encode as F32, F16 or BF16, rounding half to even; F16 overflows to infinity.

    Raises:
        ArtifactError: UNSUPPORTED, for any other type.
    """
    flat = np.ascontiguousarray(values, dtype=np.float32).reshape(-1)
    if dtype is DType.F32:
        return flat.view(np.uint8)
    if dtype is DType.F16:
        with np.errstate(over="ignore"):
            return flat.astype(np.float16).view(np.uint8)
    if dtype is DType.BF16:
        return _bfloat16(flat).view(np.uint8)
    raise ArtifactError(ArtifactFault.UNSUPPORTED, f"there is no encoder for type {dtype}")


def _bfloat16(flat: Floats) -> npt.NDArray[np.uint16]:
    bits = flat.view(np.uint32)
    rounded = bits + (np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1)))
    # Rounding must not carry a NaN into an infinity or a zero: keep it, quiet.
    nan = (bits & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
    rounded[nan] = bits[nan] | np.uint32(0x00400000)
    return (rounded >> np.uint32(16)).astype(np.uint16)


def encode_with_gguf(rows: Floats, dtype: DType) -> Bytes:
    """Encode rows of whole blocks with gguf-py's reference encoder."""
    from gguf.constants import GGMLQuantizationType
    from gguf.quants import quantize

    if not rows.size:
        return np.empty(0, np.uint8)
    with np.errstate(all="ignore"):
        encoded: Bytes = quantize(rows, GGMLQuantizationType[dtype.value])
    return encoded.reshape(-1)


def encode_apr_q8(values: Floats) -> Bytes:
    """Encode as APR_Q8: scale = max|x| / 127 (1 when all are 0), q = round(x / scale)."""
    if not values.size:
        return np.empty(0, np.uint8)
    flat = values.reshape(-1)
    scale = np.abs(flat).max(keepdims=True) / np.float32(127)
    scale[scale == 0] = 1
    with np.errstate(invalid="ignore"):  # the scale tells that a value is not finite
        quants = np.clip(round_half_away(flat / scale), -127, 127).astype(np.int8)
    return np.concatenate([scale.view(np.uint8), quants.view(np.uint8)])


def encode_apr_q4(values: Floats) -> Bytes:
    """Encode as APR_Q4, flat over the tensor: scale = max|x| / 7 per 32 values.

    The quants come from the unrounded scale, the stored one is float16; the last block is filled
    up with zero bytes.
    """
    flat = values.reshape(-1)
    count = flat.size
    blocks = np.zeros((-(-count // 32), 32), np.float32)
    blocks.reshape(-1)[:count] = flat
    scales = np.abs(blocks).max(axis=1, keepdims=True) / np.float32(7)
    scales[scales == 0] = 1
    with np.errstate(invalid="ignore"):  # the scale tells that a value is not finite
        quants = np.clip(round_half_away(blocks / scales), -8, 7).astype(np.int8)
    nibbles = (quants + np.int8(8)).view(np.uint8)
    nibbles.reshape(-1)[count:] = 0
    encoded = np.empty((len(blocks), 18), np.uint8)
    with np.errstate(over="ignore"):
        encoded[:, :2] = scales.astype(np.float16).view(np.uint8)
    encoded[:, 2:] = nibbles[:, 0::2] | (nibbles[:, 1::2] << 4)
    return encoded.reshape(-1)


def round_half_away(values: Floats) -> Floats:
    """Round half away from zero, as Rust's and C's `round` do and numpy's does not."""
    whole = np.trunc(values)
    away = np.abs(values - whole) >= np.float32(0.5)
    return whole + np.copysign(away.astype(np.float32), values)
