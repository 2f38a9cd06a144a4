"""Reading SafeTensors: one file, or a directory of shards with an index.

The rules are those of the format's own reader (`safetensors` crate, `tensor.rs`): a bounded JSON
header, offsets that cover the data without holes or overlaps, sizes that follow from the shapes.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from pytest_aprqa.artifact.dtypes import nbytes, safetensors_dtype
from pytest_aprqa.artifact.malformed import malformed, unsupported
from pytest_aprqa.artifact.mapped_file import refuse_pickle
from pytest_aprqa.artifact.model_file import require_inside
from pytest_aprqa.artifact.safetensors_index import INDEX_NAME, SINGLE_NAME, read_index
from pytest_aprqa.artifact.strict_json import JsonError, is_count, parse_object
from pytest_aprqa.artifact.tensor_file import TensorInfo
from pytest_aprqa.artifact.tensor_map import MappedTensors, refuse_shape
from pytest_aprqa.words import Format

MAX_HEADER_BYTES = 100_000_000
"""Longest header the reference reader accepts."""

_FOREIGN_DTYPES = frozenset(
    {"F4", "F6_E2M3", "F6_E3M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "C64"}
)
"""Types of the format that no artifact type stands for."""


class SafeTensorsFile(MappedTensors):
    """A SafeTensors model: a `.safetensors` file, an index, or the directory that holds them.

    Args:
        path: the file; or `model.safetensors.index.json`; or a directory with that index or with
            `model.safetensors`.

    Raises:
        ArtifactError: MALFORMED, UNSUPPORTED, NOT_FOUND or ENVIRONMENT.
    """

    format = Format.SAFETENSORS

    def __init__(self, path: Path) -> None:
        super().__init__()
        file, index = _weights_of(path)
        if index is None:
            self._read_file(file)
            return
        weight_map = read_index(index)
        for shard in sorted(set(weight_map.values())):
            self._read_file(index.parent / shard)
        self._compare_with_index(index, weight_map)

    def _read_file(self, path: Path) -> None:
        data = self._map(path)
        header, start = _header(path, data[: 8 + MAX_HEADER_BYTES].data, data.size)
        metadata = header.pop("__metadata__", None)
        self._metadata.update({} if metadata is None else _string_map(path, metadata))
        infos = [_tensor(path, name, entry, start) for name, entry in header.items()]
        infos.sort(key=lambda info: (info.offset, info.offset + info.nbytes))
        _refuse_holes(path, infos, start, data.size)
        for info in infos:
            if info.name in self._tensors:
                raise malformed(
                    path,
                    "G0-TENSOR-DUPLICATE",
                    f"is also in {self._tensors[info.name].path.name}",
                    f"tensor {info.name!r}",
                )
            self._tensors[info.name] = info

    def _compare_with_index(self, index: Path, weight_map: dict[str, str]) -> None:
        for name, shard in weight_map.items():
            info = self._tensors.get(name)
            if info is None or info.path.name != shard:
                place = "no shard" if info is None else info.path.name
                raise malformed(
                    index,
                    "G0-INDEX",
                    f"is named in {shard} but lies in {place}",
                    f"tensor {name!r}",
                )
        for name in self._tensors:
            if name not in weight_map:
                raise malformed(
                    index, "G0-INDEX", "lies in a shard but not in the index", f"tensor {name!r}"
                )


def _weights_of(path: Path) -> tuple[Path, Path | None]:
    """Return the file to read, and the index when that is one.

    As in transformers, a directory's single file goes before an index that lies beside it.
    """
    if path.is_dir():
        single, index = path / SINGLE_NAME, path / INDEX_NAME
        require_inside(single)
        path = index if index.exists() and not single.exists() else single
    return path, path if path.suffix == ".json" else None


def _header(path: Path, head: memoryview, size: int) -> tuple[dict[str, Any], int]:
    """Return the parsed header and where the data begins."""
    refuse_pickle(path, bytes(head[:16]))
    if size < 8:
        raise malformed(path, "G0-HEADER", f"has {size} bytes, shorter than a SafeTensors header")
    (length,) = struct.unpack_from("<Q", head)
    if length > MAX_HEADER_BYTES:
        raise malformed(
            path,
            "G0-HEADER",
            f"declares a header of {length} bytes, more than the {MAX_HEADER_BYTES} allowed; "
            "is it a SafeTensors file?",
            "byte 0",
        )
    if 8 + length > size:
        raise malformed(
            path,
            "G0-TRUNCATED",
            f"declares a header of {length} bytes, but only {size - 8} follow",
            "byte 0",
        )
    text = bytes(head[8 : 8 + length])
    if not text.startswith(b"{"):
        raise malformed(path, "G0-HEADER", "header does not begin with '{'", "byte 8")
    try:
        return parse_object(text), 8 + length
    except JsonError as error:
        raise malformed(path, "G0-HEADER", f"header is not valid JSON: {error}") from None


def _string_map(path: Path, metadata: object) -> dict[str, str]:
    if isinstance(metadata, dict) and all(isinstance(v, str) for v in metadata.values()):
        return metadata
    raise malformed(path, "G0-HEADER", "__metadata__ must map strings to strings")


def _tensor(path: Path, name: str, entry: object, start: int) -> TensorInfo:
    where = f"tensor {name!r}"
    if not isinstance(entry, dict) or not entry.keys() >= {"dtype", "shape", "data_offsets"}:
        raise malformed(path, "G0-HEADER", "must have dtype, shape and data_offsets", where)
    offsets, shape = entry["data_offsets"], entry["shape"]
    if not _counts(shape) or not _counts(offsets) or len(offsets) != 2:
        raise malformed(
            path, "G0-HEADER", "shape and data_offsets must be non-negative integers", where
        )
    refuse_shape(path, name, shape)
    dtype = safetensors_dtype(str(entry["dtype"]))
    if dtype is None:
        if str(entry["dtype"]) in _FOREIGN_DTYPES:
            raise unsupported(path, f"type {entry['dtype']} is not supported", where)
        raise malformed(path, "G0-DTYPE", f"unknown type {entry['dtype']!r}", where)
    begin, end = offsets
    expected = nbytes(dtype, shape)
    if end - begin != expected:
        raise malformed(
            path,
            "G0-TENSOR-SIZE",
            f"{dtype} {shape} takes {expected} bytes, data_offsets span {end - begin}",
            where,
        )
    return TensorInfo(name, dtype, tuple(shape), path, start + begin, expected)


def _counts(value: object) -> bool:
    return isinstance(value, list) and all(is_count(item) for item in value)


def _refuse_holes(path: Path, infos: list[TensorInfo], start: int, size: int) -> None:
    """Raise unless the tensors, in order, cover the data from its start to the end of the file."""
    end = start
    for info in infos:
        if info.offset != end:
            kind = "overlap" if info.offset < end else "hole"
            raise malformed(
                path,
                "G0-OFFSETS",
                f"begins at byte {info.offset}, the tensor before it ends at {end} ({kind})",
                f"tensor {info.name!r}",
            )
        end += info.nbytes
    if end > size:
        raise malformed(
            path, "G0-TRUNCATED", f"has {size} bytes, but its tensors end at byte {end}"
        )
    if end < size:
        raise malformed(
            path, "G0-OFFSETS", f"has {size - end} bytes after the last tensor", f"byte {end}"
        )
