"""Reading GGUF, versions 2 and 3, little-endian.

Every count and length is checked against what is left of the file before it is believed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pytest_aprqa.artifact.cursor import Cursor
from pytest_aprqa.artifact.dtypes import ggml_dtype, nbytes
from pytest_aprqa.artifact.gguf_value import SCALAR_CODES, GgufType, GgufValue
from pytest_aprqa.artifact.malformed import malformed, unsupported
from pytest_aprqa.artifact.model import ArtifactError
from pytest_aprqa.artifact.strict_json import is_count
from pytest_aprqa.artifact.tensor_file import TensorInfo
from pytest_aprqa.artifact.tensor_map import MappedTensors, refuse_overlaps, refuse_shape
from pytest_aprqa.words import Format

MAGIC = b"GGUF"
DEFAULT_ALIGNMENT = 32
MAX_NAME_BYTES = 63
MAX_DIMENSIONS = 4
"""Limits of ggml: longest tensor name, a terminating zero not counted, and most dimensions."""

_MAX_NESTING = 4
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_HEADER = struct.Struct("<4sIQQ")
_SCALARS = {kind: struct.Struct("<" + code) for kind, code in SCALAR_CODES.items()}
_SMALLEST_PAIR = 8 + 4 + 1
_SMALLEST_TENSOR = 8 + 4 + 4 + 8


class GgufFile(MappedTensors):
    """A GGUF file.

    Shapes are reversed to row-major; the data lies as it is. `metadata` has plain values by key,
    `values` the same with their GGUF types.

    Raises:
        ArtifactError: MALFORMED, UNSUPPORTED, NOT_FOUND or ENVIRONMENT.
    """

    format = Format.GGUF

    def __init__(self, path: Path) -> None:
        super().__init__()
        cursor = Cursor(path, self._map(path))
        tensor_count, pair_count = _header(cursor)
        self.values: tuple[GgufValue, ...] = tuple(_pairs(cursor, pair_count))
        self._metadata = {value.key: value.value for value in self.values}
        _refuse_split(path, self._metadata)
        alignment = alignment_of(path, self._metadata)
        found = [_tensor_entry(cursor) for _ in range(tensor_count)]
        start = -(-cursor.position // alignment) * alignment
        infos = [_placed(info, start, alignment, cursor.end) for info in found]
        refuse_overlaps(infos, "G0-OFFSETS")
        _refuse_gaps(infos, start, alignment)
        for info in infos:
            if info.name in self._tensors:
                raise malformed(
                    path, "G0-TENSOR-DUPLICATE", "occurs twice", f"tensor {info.name!r}"
                )
            self._tensors[info.name] = info


def _header(cursor: Cursor) -> tuple[int, int]:
    """Return the numbers of tensors and of key-value pairs."""
    path = cursor.path
    if cursor.end < _HEADER.size:
        raise malformed(
            path, "G0-TRUNCATED", f"has {cursor.end} bytes, a GGUF header takes {_HEADER.size}"
        )
    magic, version, tensors, pairs = _HEADER.unpack(cursor.take(_HEADER.size, "the header"))
    if magic != MAGIC:
        raise malformed(path, "G0-HEADER", f"magic is {magic!r}, expected {MAGIC!r}", "byte 0")
    if version and not version & 0xFFFF:
        raise unsupported(path, "is a big-endian GGUF file; convert it to little-endian")
    if version not in (2, 3):
        raise unsupported(path, f"GGUF version {version} is not supported, only 2 and 3", "byte 4")
    for count, smallest, what in (
        (tensors, _SMALLEST_TENSOR, "tensors"),
        (pairs, _SMALLEST_PAIR, "key-value pairs"),
    ):
        if count * smallest > cursor.end:
            raise malformed(
                path, "G0-HEADER", f"declares {count} {what}, more than the file can hold"
            )
    return tensors, pairs


def _pairs(cursor: Cursor, count: int) -> Iterator[GgufValue]:
    seen: set[str] = set()
    for _ in range(count):
        where = cursor.where
        key = _string(cursor, "a key")
        if not key or key in seen:
            what = f"key {key!r} occurs twice" if key else "a key is empty"
            raise malformed(cursor.path, "G0-METADATA", what, where)
        seen.add(key)
        kind = _type(cursor, key)
        if kind is GgufType.ARRAY:
            value, element = _array(cursor, key, 1)
            yield GgufValue(key, kind, value, element)
        else:
            yield GgufValue(key, kind, _scalar(cursor, kind, key))


def _type(cursor: Cursor, key: str) -> GgufType:
    where = cursor.where
    (code,) = cursor.unpack(_U32, f"the type of {key!r}")
    try:
        return GgufType(code)
    except ValueError:
        raise malformed(
            cursor.path, "G0-METADATA", f"{key!r} has unknown value type {code}", where
        ) from None


def _string(cursor: Cursor, what: str) -> str:
    (length,) = cursor.unpack(_U64, f"the length of {what}")
    return cursor.text(length, what)


def _scalar(cursor: Cursor, kind: GgufType, key: str) -> Any:
    if kind is GgufType.STRING:
        return _string(cursor, f"the value of {key!r}")
    where = cursor.where
    if kind is GgufType.BOOL:
        (byte,) = cursor.take(1, f"the value of {key!r}")
        if byte > 1:
            raise malformed(cursor.path, "G0-METADATA", f"{key!r} is the bool {byte}", where)
        return bool(byte)
    return cursor.unpack(_SCALARS[kind], f"the value of {key!r}")[0]


def _array(cursor: Cursor, key: str, depth: int) -> tuple[list[Any], GgufType]:
    element = _type(cursor, key)
    (count,) = cursor.unpack(_U64, f"the length of {key!r}")
    what = f"the array {key!r}"
    if element is GgufType.ARRAY:
        if depth == _MAX_NESTING:
            raise malformed(cursor.path, "G0-METADATA", f"{key!r} is nested too deep", cursor.where)
        cursor.need(count * (_U32.size + _U64.size), what)
        return [_array(cursor, key, depth + 1)[0] for _ in range(count)], element
    if element is GgufType.STRING:
        cursor.need(count * _U64.size, what)
        return cursor.texts(count, f"an element of {key!r}"), element
    where = cursor.where
    code = "B" if element is GgufType.BOOL else SCALAR_CODES[element]
    cursor.need(count * _SCALARS[element].size, what)
    items = np.frombuffer(cursor.take(count * _SCALARS[element].size, what), np.dtype(f"<{code}"))
    if element is GgufType.BOOL:
        if count and items.max() > 1:
            raise malformed(cursor.path, "G0-METADATA", f"{key!r} holds a bool over 1", where)
        items = items.astype(bool)
    return items.tolist(), element


def _refuse_split(path: Path, metadata: Mapping[str, Any]) -> None:
    """Raise ArtifactError UNSUPPORTED on a part of a model: what is missing is in other files."""
    count = metadata.get("split.count", 1)
    if is_count(count) and count > 1:
        raise unsupported(path, f"is one of {count} parts of a split GGUF; merge them first")


def alignment_of(path: Path, metadata: Mapping[str, Any]) -> int:
    """Return what the offsets of a file with these key-value pairs are multiples of.

    Raises:
        ArtifactError: MALFORMED, when it is no power of two.
    """
    alignment: int = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if not is_count(alignment) or not alignment or alignment & (alignment - 1):
        raise malformed(
            path, "G0-METADATA", f"general.alignment is {alignment!r}, expected a power of two"
        )
    return alignment


def _tensor_entry(cursor: Cursor) -> TensorInfo:
    """Read one entry; its offset still counts from the start of the data."""
    path, where = cursor.path, cursor.where
    name = _string(cursor, "a tensor name")
    if not name or len(name.encode()) > MAX_NAME_BYTES:
        raise malformed(
            path, "G0-TENSOR-NAME", f"a tensor name must have 1 to {MAX_NAME_BYTES} bytes", where
        )
    (rank,) = cursor.unpack(_U32, f"the dimensions of {name!r}")
    if rank > MAX_DIMENSIONS:
        raise malformed(
            path,
            "G0-TENSOR-SIZE",
            f"has {rank} dimensions, ggml allows {MAX_DIMENSIONS}",
            f"tensor {name!r}",
        )
    dimensions = cursor.unpack(struct.Struct(f"<{rank}Q"), f"the dimensions of {name!r}")
    code, offset = cursor.unpack(_TYPE_AND_OFFSET, f"the type of {name!r}")
    if 0 in dimensions:
        raise malformed(
            path, "G0-TENSOR-SIZE", f"dimensions {list(dimensions)} have a 0", f"tensor {name!r}"
        )
    shape = tuple(reversed(dimensions))
    refuse_shape(path, name, shape)
    dtype = ggml_dtype(code)
    if dtype is None:
        raise malformed(path, "G0-DTYPE", f"unknown GGML type {code}", f"tensor {name!r}")
    try:
        size = nbytes(dtype, shape)
    except ArtifactError as error:
        raise malformed(path, error.rule, error.message, f"tensor {name!r}") from None
    return TensorInfo(name, dtype, shape, path, offset, size)


def _refuse_gaps(infos: Sequence[TensorInfo], start: int, alignment: int) -> None:
    """Raise unless each tensor follows the one listed before it, as llama.cpp demands."""
    expected = start
    for info in infos:
        if info.offset != expected:
            raise malformed(
                info.path,
                "G0-OFFSETS",
                f"starts at byte {info.offset}, the tensor listed before it ends at {expected}, "
                "padding included; llama.cpp allows neither gaps nor another order",
                f"tensor {info.name!r}",
            )
        end = info.offset + info.nbytes
        expected = end + (start - end) % alignment


_TYPE_AND_OFFSET = struct.Struct("<IQ")


def _placed(info: TensorInfo, start: int, alignment: int, end: int) -> TensorInfo:
    """Return the entry with its offset in the file, checked."""
    where = f"tensor {info.name!r}"
    if info.offset % alignment:
        raise malformed(
            info.path, "G0-ALIGNMENT", f"offset {info.offset} is no multiple of {alignment}", where
        )
    begin = start + info.offset
    if begin + info.nbytes > end:
        raise malformed(
            info.path,
            "G0-TRUNCATED",
            f"its {info.nbytes} bytes end at byte {begin + info.nbytes}, the file at {end}",
            where,
        )
    return TensorInfo(info.name, info.dtype, info.shape, info.path, begin, info.nbytes)
