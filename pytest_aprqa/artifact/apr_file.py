"""Reading APR version 2, strictly.

Stricter than `apr` itself where a fault would otherwise go unseen: it checks the checksum of the
whole file, that sizes follow from shapes, and that nothing hides between the tensors.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pytest_aprqa.artifact.apr_checksum import refuse_checksum
from pytest_aprqa.artifact.apr_layout import (
    ALIGNMENT,
    ENTRY_TAIL,
    FOOTER,
    HEADER,
    KNOWN_FLAGS,
    MAGIC,
    MAX_NAME_BYTES,
    UNREADABLE,
    AprFlag,
    header_checksum,
)
from pytest_aprqa.artifact.apr_metadata import refuse_metadata, refuse_shard
from pytest_aprqa.artifact.crc32 import Summed
from pytest_aprqa.artifact.cursor import Cursor
from pytest_aprqa.artifact.dtypes import APR_DTYPES, padded_nbytes
from pytest_aprqa.artifact.malformed import malformed, unsupported
from pytest_aprqa.artifact.strict_json import JsonError, parse_object
from pytest_aprqa.artifact.tensor_file import DType, TensorInfo
from pytest_aprqa.artifact.tensor_map import MappedTensors, refuse_overlaps, refuse_shape
from pytest_aprqa.words import Format

Bytes = npt.NDArray[np.uint8]

_OTHER_MAGICS = {
    b"APRN": "is an APR version 1 file of a classic machine-learning model, not a language model",
    b"APR1": "is a legacy APR version 1 file; convert the model again with a current `apr`",
    b"APR2": "is a legacy APR file that current readers refuse; convert the model again",
}
_LEGACY_Q4, _LEGACY_Q8 = 8, 9
_NAME_LENGTH = struct.Struct("<H")
_TYPE_AND_RANK = struct.Struct("<BB")
_SMALLEST_ENTRY = _NAME_LENGTH.size + _TYPE_AND_RANK.size + ENTRY_TAIL.size


class AprFile(MappedTensors):
    """An APR version 2 file.

    Args:
        path: of the file.
        checksum: check the CRC-32 of the whole file; a process reads it once per state of it.

    Attributes:
        flags: of the header.

    Raises:
        ArtifactError: MALFORMED, UNSUPPORTED, NOT_FOUND or ENVIRONMENT.
    """

    format = Format.APR

    def __init__(self, path: Path, *, checksum: bool = True) -> None:
        super().__init__()
        data = self._map(path)
        header = _header(path, data)
        self.flags = header.flags
        self._metadata = _metadata(path, data, header)
        infos, index_end = _index(path, data, header)
        refuse_overlaps(infos, "G0-OFFSETS")
        _refuse_padding(path, data, header, index_end, infos)
        self._tensors = {info.name: info for info in infos}
        if checksum:
            self.refuse_checksum()

    def refuse_checksum(self, known: Iterable[Summed] = ()) -> None:
        """Raise ArtifactError MALFORMED unless the CRC-32 of the whole file is right.

        Args:
            known: parts whose CRC-32 is known.
        """
        [(path, data)] = self._mapped.items()
        refuse_checksum(path, data, known)


@dataclass(frozen=True, slots=True)
class _Header:
    flags: AprFlag
    tensor_count: int
    metadata: int
    metadata_end: int
    index: int
    data: int
    end: int
    """Where the footer begins."""


def _header(path: Path, data: Bytes) -> _Header:
    start = data[: HEADER.size].tobytes()
    _refuse_magic(path, start[:4])
    if len(data) < HEADER.size + FOOTER.size:
        raise malformed(
            path,
            "G0-TRUNCATED",
            f"has {len(data)} bytes, header and footer take {HEADER.size + FOOTER.size}",
        )
    (_, major, minor, bits, count, metadata, size, index, tensors, checksum, reserved) = (
        HEADER.unpack(start)
    )
    if major in (0, 1):
        raise malformed(
            path,
            "G0-HEADER",
            "has the magic of APR version 2 but the header of another layout (byte 4 is "
            f"{major}, expected 2)",
            "byte 4",
        )
    if checksum != (expected := header_checksum(start)):
        raise malformed(
            path,
            "G0-CHECKSUM",
            f"header checksum is {checksum:08x}, its bytes give {expected:08x}",
            "byte 40",
        )
    if major != 2:
        raise unsupported(path, f"APR version {major}.{minor} is not supported, only 2.x", "byte 4")
    if any(reserved):
        raise malformed(path, "G0-HEADER", "reserved bytes are not zero", "byte 44")
    end = len(data) - FOOTER.size
    header = _Header(_flags(path, bits), count, metadata, metadata + size, index, tensors, end)
    _refuse_sections(path, header)
    return header


def _refuse_magic(path: Path, magic: bytes) -> None:
    if magic in _OTHER_MAGICS:
        raise unsupported(path, _OTHER_MAGICS[magic], "byte 0")
    if magic != MAGIC:
        raise malformed(path, "G0-HEADER", f"magic is {magic!r}, expected {MAGIC!r}", "byte 0")


def _flags(path: Path, bits: int) -> AprFlag:
    if bits & ~KNOWN_FLAGS:
        raise malformed(
            path, "G0-HEADER", f"unknown flags {bits & ~KNOWN_FLAGS:#06x} are set", "byte 6"
        )
    flags = AprFlag(bits)
    if AprFlag.LAYOUT_COLUMN_MAJOR in flags:
        raise malformed(
            path,
            "LAYOUT-002",
            "is marked column-major; APR is row-major only, convert the model again",
            "byte 6",
        )
    if flags & UNREADABLE:
        raise unsupported(
            path, f"flags say {flags & UNREADABLE!r}; such files are not read", "byte 6"
        )
    return flags


def _refuse_sections(path: Path, header: _Header) -> None:
    ordered = HEADER.size <= header.metadata <= header.metadata_end <= header.index <= header.data
    if not ordered or header.data > header.end:
        raise malformed(
            path,
            "G0-TRUNCATED" if ordered else "G0-HEADER",
            f"metadata at {header.metadata}-{header.metadata_end}, index at {header.index} and "
            f"data at {header.data} do not lie in this order between byte {HEADER.size} and the "
            f"footer at {header.end}",
            "byte 12",
        )
    for what, position in (("tensor index", header.index), ("tensor data", header.data)):
        if position % ALIGNMENT:
            raise malformed(
                path, "G0-ALIGNMENT", f"{what} begins at {position}, no multiple of {ALIGNMENT}"
            )


def _metadata(path: Path, data: Bytes, header: _Header) -> dict[str, object]:
    try:
        # Of a key that occurs twice readers take the last.
        text = data[header.metadata : header.metadata_end].tobytes()
        metadata = parse_object(text, unique_keys=False)
    except JsonError as error:
        raise malformed(
            path, "G0-METADATA", f"metadata is not valid JSON: {error}", f"byte {header.metadata}"
        ) from None
    refuse_metadata(path, metadata)
    refuse_shard(path, metadata)
    if AprFlag.SHARDED in header.flags and not metadata.get("sharding"):
        message = "flags say SHARDED, but the metadata have no sharding"
        raise malformed(path, "G0-HEADER", message, "byte 6")
    return metadata


def _index(path: Path, data: Bytes, header: _Header) -> tuple[list[TensorInfo], int]:
    """Return the tensors in the order of the index, and where the index ends."""
    cursor = Cursor(path, data, header.index, header.data)
    cursor.need(header.tensor_count * _SMALLEST_ENTRY, f"index of {header.tensor_count} tensors")
    infos: list[TensorInfo] = []
    before = b""
    for number in range(header.tensor_count):
        where = cursor.where
        info = _entry(cursor, header)
        name = info.name.encode()
        if number and name <= before:
            rule, what = ("G0-TENSOR-DUPLICATE", "occurs twice")
            if name < before:
                rule, what = (
                    "G0-INDEX",
                    f"is not sorted: it follows {before.decode()!r} ({where})",
                )
            raise malformed(path, rule, what, f"tensor {info.name!r}")
        before = name
        infos.append(info)
    return infos, cursor.position


def _entry(cursor: Cursor, header: _Header) -> TensorInfo:
    path, start = cursor.path, cursor.where
    (length,) = cursor.unpack(_NAME_LENGTH, "a name length")
    if not 0 < length <= MAX_NAME_BYTES:
        raise malformed(
            path,
            "G0-TENSOR-NAME",
            f"a name of {length} bytes, expected 1 to {MAX_NAME_BYTES}",
            start,
        )
    name = cursor.text(length, "a tensor name")
    where = f"tensor {name!r}"
    code, rank = cursor.unpack(_TYPE_AND_RANK, f"the type of {name!r}")
    shape = cursor.unpack(struct.Struct(f"<{rank}Q"), f"the shape of {name!r}")
    refuse_shape(path, name, shape)
    offset, size = cursor.unpack(ENTRY_TAIL, f"the offset of {name!r}")
    dtype = _dtype(path, name, code, shape, size)
    expected = padded_nbytes(dtype, shape)
    if size != expected:
        raise malformed(
            path,
            "G0-TENSOR-SIZE",
            f"{dtype} {list(shape)} takes {expected} bytes, the index says {size}",
            where,
        )
    if offset % ALIGNMENT:
        raise malformed(
            path, "G0-ALIGNMENT", f"offset {offset} is no multiple of {ALIGNMENT}", where
        )
    begin = header.data + offset
    if begin + size > header.end:
        raise malformed(
            path,
            "G0-TRUNCATED",
            f"its {size} bytes end at byte {begin + size}, the data at {header.end}",
            where,
        )
    return TensorInfo(name, dtype, shape, path, begin, size)


def _dtype(path: Path, name: str, code: int, shape: tuple[int, ...], size: int) -> DType:
    """Return the type of an entry, legacy codes included.

    Code 8 meant APR_Q4 once; files in which it means GGML's Q8_0 exist too and differ in size.
    """
    if code == _LEGACY_Q4:
        as_rows, whole = padded_nbytes(DType.Q8_0, shape), padded_nbytes(DType.Q8_0, (prod(shape),))
        if size and size == whole != as_rows:
            raise unsupported(
                path,
                "type code 8 means Q8_0 here, in blocks that cross the ends of rows, which are not "
                "read; convert the model again",
                f"tensor {name!r}",
            )
        return DType.Q8_0 if size and size == as_rows == whole else DType.APR_Q4
    dtype = DType.APR_Q8 if code == _LEGACY_Q8 else APR_DTYPES.get(code)
    if dtype is None:
        raise malformed(path, "G0-DTYPE", f"unknown type code {code}", f"tensor {name!r}")
    return dtype


def _refuse_padding(
    path: Path, data: Bytes, header: _Header, index_end: int, infos: list[TensorInfo]
) -> None:
    """Raise unless every byte that belongs to no section and no tensor is zero."""
    spans = [(HEADER.size, header.metadata), (header.metadata_end, header.index)]
    spans.append((index_end, header.data))
    position = header.data
    for info in sorted((info for info in infos if info.nbytes), key=lambda info: info.offset):
        spans.append((position, info.offset))
        position = info.offset + info.nbytes
    spans.append((position, header.end))
    for begin, end in spans:
        if begin < end and data[begin:end].any():
            first = begin + int(np.argmax(data[begin:end] != 0))
            raise malformed(path, "G0-PADDING", "padding is not zero", f"byte {first}")
