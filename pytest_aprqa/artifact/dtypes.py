"""Element types: how many bytes they take, and what the three formats call them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import prod

import numpy as np
import numpy.typing as npt

from pytest_aprqa.artifact.dequantize import (
    decode_apr_q4,
    decode_apr_q8,
    decode_blocks,
    decode_plain,
)
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.quantize import (
    GGUF_ENCODERS,
    encode_apr_q4,
    encode_apr_q8,
    encode_plain,
    encode_with_gguf,
)
from pytest_aprqa.artifact.quantize_k import BLOCK as K_BLOCK
from pytest_aprqa.artifact.quantize_k import encode_q4_k, encode_q6_k
from pytest_aprqa.artifact.tensor_file import DType

APR_Q4_BLOCK = 32
APR_Q4_BYTES = 18
APR_Q8_HEADER = 4

PLAIN_BYTES: dict[DType, int] = {
    DType.F64: 8,
    DType.F32: 4,
    DType.F16: 2,
    DType.BF16: 2,
    DType.F8_E4M3: 1,
    DType.F8_E5M2: 1,
    DType.I64: 8,
    DType.I32: 4,
    DType.I16: 2,
    DType.I8: 1,
    DType.U64: 8,
    DType.U32: 4,
    DType.U16: 2,
    DType.U8: 1,
    DType.BOOL: 1,
}
"""Bytes per element of the types that are not quantised in blocks."""

APR_CODES: dict[DType, int] = {
    DType.F32: 0,
    DType.F16: 1,
    DType.F64: 3,
    DType.I32: 4,
    DType.I64: 5,
    DType.I8: 6,
    DType.U8: 7,
    DType.Q4_K: 12,
    DType.Q6_K: 14,
    DType.BF16: 30,
    DType.APR_Q4: 128,
    DType.APR_Q8: 129,
}
"""The dtype byte of an APR version 2 tensor index entry."""

APR_DTYPES: dict[int, DType] = {code: dtype for dtype, code in APR_CODES.items()}

SAFETENSORS_DTYPES: frozenset[DType] = frozenset(PLAIN_BYTES)
"""The types SafeTensors can hold; it calls them as we do."""

_SAFETENSORS_NAMES = {dtype.value: dtype for dtype in SAFETENSORS_DTYPES}


@dataclass(frozen=True, slots=True)
class Block:
    """The unit a type is stored in: this many elements in this many bytes."""

    elements: int
    nbytes: int


@cache
def block_of(dtype: DType) -> Block:
    """Return the storage unit of a type; GGML's come from gguf-py's table.

    APR_Q8 has no block: one scale serves the whole tensor, so `elements` is 1 and the scale is
    not counted.
    """
    if dtype in PLAIN_BYTES:
        return Block(1, PLAIN_BYTES[dtype])
    if dtype is DType.APR_Q4:
        return Block(APR_Q4_BLOCK, APR_Q4_BYTES)
    if dtype is DType.APR_Q8:
        return Block(1, 1)
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    return Block(*GGML_QUANT_SIZES[GGMLQuantizationType[dtype.value]])


def is_ggml_block(dtype: DType) -> bool:
    """Whether the type is one of GGML's, quantised in blocks along the last dimension."""
    return dtype not in PLAIN_BYTES and dtype not in (DType.APR_Q4, DType.APR_Q8)


def nbytes(dtype: DType, shape: Sequence[int]) -> int:
    """Return the length of a tensor's data in SafeTensors and GGUF, and of APR's own types.

    Raises:
        ArtifactError: MALFORMED, when the last dimension is not whole GGML blocks.
    """
    count = prod(shape)
    block = block_of(dtype)
    if dtype is DType.APR_Q8:
        return APR_Q8_HEADER + count if count else 0
    if dtype is DType.APR_Q4:
        return -(-count // block.elements) * block.nbytes
    row = shape[-1] if shape else 1
    if row % block.elements:
        raise ArtifactError(
            ArtifactFault.MALFORMED,
            f"a row of {row} elements is not whole {dtype} blocks of {block.elements}",
            rule="G0-TENSOR-SIZE",
        )
    return count // block.elements * block.nbytes


def padded_nbytes(dtype: DType, shape: Sequence[int]) -> int:
    """Return the length of a tensor's data in APR, where GGML blocks may be filled up.

    The rows of a 2-D tensor are filled up to whole blocks each, any other tensor once at its end.
    """
    if not is_ggml_block(dtype):
        return nbytes(dtype, shape)
    rows, row = _padded_rows(shape)
    block = block_of(dtype)
    return rows * -(-row // block.elements) * block.nbytes


def _padded_rows(shape: Sequence[int]) -> tuple[int, int]:
    """Return how many rows APR fills up to whole blocks, and their length before that."""
    return (shape[0], shape[1]) if len(shape) == 2 else (1, prod(shape))


def safetensors_dtype(name: str) -> DType | None:
    """Return the type SafeTensors calls by this name, or None when we do not know it."""
    return _SAFETENSORS_NAMES.get(name)


@cache
def ggml_dtype(code: int) -> DType | None:
    """Return the type with this GGML id, or None when we do not know it."""
    from gguf.constants import GGMLQuantizationType

    known = next((t.name for t in GGMLQuantizationType if t.value == code), "")
    return next((dtype for dtype in DType if dtype.value == known), None)


@cache
def ggml_code(dtype: DType) -> int:
    """Return the GGML id of a type.

    Raises:
        ArtifactError: UNSUPPORTED, when GGUF cannot hold the type.
    """
    from gguf.constants import GGMLQuantizationType

    for known in GGMLQuantizationType:
        if known.name == dtype.value:
            return int(known.value)
    raise ArtifactError(ArtifactFault.UNSUPPORTED, f"GGUF has no type {dtype}")


def to_float32(
    raw: npt.NDArray[np.uint8], dtype: DType, shape: Sequence[int]
) -> npt.NDArray[np.float32]:
    """Decode a tensor's bytes to float32.

    Args:
        raw: the tensor's data, `nbytes(dtype, shape)` bytes, or `padded_nbytes` as APR has it.
        dtype: its type. Integers and booleans become the nearest float32.
        shape: row-major.

    Raises:
        ArtifactError: UNSUPPORTED, when there is no decoder for the type.
    """
    count = prod(shape)
    if dtype in PLAIN_BYTES:
        return decode_plain(raw, dtype).reshape(shape)
    if dtype is DType.APR_Q8:
        return decode_apr_q8(raw).reshape(shape)
    if dtype is DType.APR_Q4:
        return decode_apr_q4(raw)[:count].reshape(shape)
    block = block_of(dtype)
    values = decode_blocks(raw.reshape(-1, block.nbytes), dtype, block.elements)
    if values.size == count:
        return values.reshape(shape)
    rows, row = _padded_rows(shape)
    return np.ascontiguousarray(values.reshape(rows, -1)[:, :row]).reshape(shape)


_K_ENCODERS = {DType.Q4_K: encode_q4_k, DType.Q6_K: encode_q6_k}


def from_float32(array: npt.NDArray[np.float32], dtype: DType) -> npt.NDArray[np.uint8]:
    """Encode an array, returning the tensor's data as flat bytes.

    Q4_K and Q6_K fill rows up to whole blocks as APR does (`padded_nbytes`), which changes
    nothing where the rows are whole blocks already; the other GGML types want whole blocks.

    Raises:
        ArtifactError: UNSUPPORTED, when there is no encoder for the type; MALFORMED, when the
            last dimension is not whole blocks.
    """
    if dtype in PLAIN_BYTES:
        return encode_plain(array, dtype)
    if dtype is DType.APR_Q8:
        return encode_apr_q8(array)
    if dtype is DType.APR_Q4:
        return encode_apr_q4(array)
    if dtype in GGUF_ENCODERS:
        nbytes(dtype, array.shape)
        return encode_with_gguf(array, dtype)
    if dtype in _K_ENCODERS:
        rows, row = _padded_rows(array.shape)
        filled = np.zeros((rows, -(-row // K_BLOCK) * K_BLOCK), np.float32)
        filled[:, :row] = array.reshape(rows, row)
        return _K_ENCODERS[dtype](filled.reshape(-1, K_BLOCK))
    raise ArtifactError(ArtifactFault.UNSUPPORTED, f"there is no encoder for type {dtype}")
