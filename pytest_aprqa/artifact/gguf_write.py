"""Writing GGUF version 3, little-endian."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_aprqa.artifact.dtypes import ggml_code, nbytes
from pytest_aprqa.artifact.gguf_file import MAGIC, MAX_DIMENSIONS, MAX_NAME_BYTES, alignment_of
from pytest_aprqa.artifact.gguf_value import SCALAR_CODES, GgufType, GgufValue
from pytest_aprqa.artifact.hashed_file import hashed_file
from pytest_aprqa.artifact.malformed import malformed
from pytest_aprqa.artifact.tensor_source import TensorSource

VERSION = 3


def write_gguf(path: Path, tensors: Sequence[TensorSource], metadata: Sequence[GgufValue]) -> None:
    """Write a GGUF file, one tensor in memory at a time, in the order given.

    Args:
        path: of the file; what stood there before is replaced when the new one is complete.
        tensors: shapes row-major; they are written reversed, as GGUF wants them.
        metadata: key-value pairs in order; a `general.alignment` among them is kept to, else the
            alignment is 32.

    Raises:
        ArtifactError: MALFORMED, what was given breaks the format; UNSUPPORTED, a type GGUF does
            not have; ENVIRONMENT, the file system refused.
    """
    _refuse_keys(path, metadata)
    alignment = alignment_of(path, {value.key: value.value for value in metadata})
    _refuse_tensors(path, tensors)
    sizes = [nbytes(tensor.dtype, tensor.shape) for tensor in tensors]
    head = bytearray(MAGIC + struct.pack("<IQQ", VERSION, len(tensors), len(metadata)))
    for value in metadata:
        head += _pair(path, value)
    offset = 0
    for tensor, size in zip(tensors, sizes, strict=True):
        head += _entry(tensor, offset)
        offset += size + -size % alignment
    with hashed_file(path) as file:
        file.write(head)
        file.write(bytes(-len(head) % alignment))
        for tensor, size in zip(tensors, sizes, strict=True):
            file.write(tensor.bytes_of(size))
            file.write(bytes(-size % alignment))


def _refuse_keys(path: Path, metadata: Sequence[GgufValue]) -> None:
    seen: set[str] = set()
    for value in metadata:
        if value.key in seen:
            raise malformed(path, "G0-METADATA", f"key {value.key!r} occurs twice")
        seen.add(value.key)


def _refuse_tensors(path: Path, tensors: Sequence[TensorSource]) -> None:
    seen: set[str] = set()
    for tensor in tensors:
        where = f"tensor {tensor.name!r}"
        if tensor.name in seen:
            raise malformed(path, "G0-TENSOR-DUPLICATE", "occurs twice", where)
        seen.add(tensor.name)
        if not 0 < len(tensor.name.encode()) <= MAX_NAME_BYTES:
            raise malformed(path, "G0-TENSOR-NAME", f"must have 1 to {MAX_NAME_BYTES} bytes", where)
        if len(tensor.shape) > MAX_DIMENSIONS or 0 in tensor.shape:
            raise malformed(
                path,
                "G0-TENSOR-SIZE",
                f"shape {list(tensor.shape)}: GGUF has at most {MAX_DIMENSIONS} dimensions and "
                "none of them 0",
                where,
            )


def _string(text: str) -> bytes:
    encoded = text.encode("utf-8")
    return struct.pack("<Q", len(encoded)) + encoded


def _pair(path: Path, value: GgufValue) -> bytes:
    head = _string(value.key) + struct.pack("<I", value.type)
    try:
        if value.type is not GgufType.ARRAY:
            return head + _scalars(value.type, [value.value])
        if value.element in (None, GgufType.ARRAY):
            raise malformed(path, "G0-METADATA", f"array {value.key!r} needs a scalar element type")
        head += struct.pack("<IQ", value.element, len(value.value))
        return head + _scalars(value.element, value.value)
    except (struct.error, AttributeError, TypeError):
        raise malformed(
            path, "G0-METADATA", f"{value.key!r} has a value that is no {value.type.name}"
        ) from None


def _scalars(kind: GgufType, values: Sequence[Any]) -> bytes:
    if kind is GgufType.STRING:
        return b"".join(map(_string, values))
    return struct.pack(f"<{len(values)}{SCALAR_CODES[kind]}", *values)


def _entry(tensor: TensorSource, offset: int) -> bytes:
    rank = len(tensor.shape)
    dimensions = struct.pack(f"<I{rank}Q", rank, *reversed(tensor.shape))
    return _string(tensor.name) + dimensions + struct.pack("<IQ", ggml_code(tensor.dtype), offset)
