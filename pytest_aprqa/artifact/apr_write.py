"""Writing APR version 2."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from pytest_aprqa.artifact.apr_layout import (
    CHECKSUM_FIELD,
    ENTRY_TAIL,
    FOOTER,
    HEADER,
    MAGIC,
    MAX_NAME_BYTES,
    AprFlag,
    aligned,
    header_checksum,
)
from pytest_aprqa.artifact.apr_metadata import refuse_metadata
from pytest_aprqa.artifact.dtypes import APR_CODES, padded_nbytes
from pytest_aprqa.artifact.hashed_file import HashedFile, hashed_file
from pytest_aprqa.artifact.malformed import malformed, unsupported
from pytest_aprqa.artifact.tensor_source import TensorSource

MAX_DIMENSIONS = 8
"""Most dimensions that upstream's writer emits."""


def write_apr(path: Path, tensors: Sequence[TensorSource], metadata: Mapping[str, Any]) -> None:
    """Write an APR file, one tensor in memory at a time.

    Args:
        path: of the file; what stood there before is replaced when the new one is complete.
        tensors: in any order; index and data are written sorted by the UTF-8 bytes of the name.
        metadata: JSON, in the order given, one spelling per field and no nulls where the format
            does not want them.

    Raises:
        ArtifactError: MALFORMED, what was given breaks the format; UNSUPPORTED, a type APR does
            not have; ENVIRONMENT, the file system refused.
    """
    ordered = sorted(tensors, key=lambda tensor: tensor.name.encode())
    _refuse_names(path, ordered)
    text = _metadata_text(path, metadata)
    sizes = [padded_nbytes(tensor.dtype, tensor.shape) for tensor in ordered]
    index = _index(path, ordered, sizes)
    with hashed_file(path) as file:
        output = _Output(file)
        output.write(_header(len(ordered), len(text), len(index)))
        for section in (text, index):
            output.write(section)
            output.pad()
        for tensor, size in zip(ordered, sizes, strict=True):
            output.write(tensor.bytes_of(size))
            output.pad()
        file.write(FOOTER.pack(file.crc32))


class _Output:
    """A file that knows how long it is."""

    def __init__(self, file: HashedFile) -> None:
        self._file = file
        self._position = 0

    def write(self, data: bytes | memoryview) -> None:
        self._file.write(data)
        self._position += len(data)

    def pad(self) -> None:
        """Fill up to the next multiple of 64 with zeros."""
        self.write(bytes(aligned(self._position) - self._position))


def _refuse_names(path: Path, ordered: Sequence[TensorSource]) -> None:
    names = [tensor.name.encode() for tensor in ordered]
    for name in names:
        if not 0 < len(name) <= MAX_NAME_BYTES:
            raise malformed(
                path,
                "G0-TENSOR-NAME",
                f"a name of {len(name)} bytes, expected 1 to {MAX_NAME_BYTES}",
                f"tensor {name.decode()!r}",
            )
    for before, after in pairwise(names):
        if before == after:
            raise malformed(
                path, "G0-TENSOR-DUPLICATE", "occurs twice", f"tensor {after.decode()!r}"
            )


def _metadata_text(path: Path, metadata: Mapping[str, Any]) -> bytes:
    refuse_metadata(path, metadata)
    try:
        text = json.dumps(
            dict(metadata), ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
        return text.encode("utf-8")
    except (TypeError, ValueError) as error:
        raise malformed(path, "G0-METADATA", f"metadata cannot be JSON: {error}") from None


def _index(path: Path, ordered: Sequence[TensorSource], sizes: Sequence[int]) -> bytes:
    entries = bytearray()
    offset = 0
    for tensor, size in zip(ordered, sizes, strict=True):
        where = f"tensor {tensor.name!r}"
        if tensor.dtype not in APR_CODES:
            raise unsupported(path, f"APR has no type {tensor.dtype}", where)
        if len(tensor.shape) > MAX_DIMENSIONS:
            raise unsupported(path, f"APR has at most {MAX_DIMENSIONS} dimensions", where)
        name = tensor.name.encode()
        rank = len(tensor.shape)
        entries += struct.pack("<H", len(name)) + name
        entries += struct.pack(f"<BB{rank}Q", APR_CODES[tensor.dtype], rank, *tensor.shape)
        entries += ENTRY_TAIL.pack(offset, size)
        offset = aligned(offset + size)
    return bytes(entries)


def _header(count: int, metadata_size: int, index_size: int) -> bytes:
    index = aligned(HEADER.size + metadata_size)
    data = aligned(index + index_size)
    fields = (MAGIC, 2, 0, AprFlag.LAYOUT_ROW_MAJOR, count, HEADER.size, metadata_size)
    header = bytearray(HEADER.pack(*fields, index, data, 0, bytes(20)))
    header[CHECKSUM_FIELD] = FOOTER.pack(header_checksum(bytes(header)))
    return bytes(header)
