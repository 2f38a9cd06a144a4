"""Writing SafeTensors, in one file or in shards."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_aprqa.artifact.atomic_file import atomic_file
from pytest_aprqa.artifact.dtypes import SAFETENSORS_DTYPES, nbytes
from pytest_aprqa.artifact.hashed_file import hashed_file
from pytest_aprqa.artifact.malformed import malformed, unsupported
from pytest_aprqa.artifact.safetensors_index import INDEX_NAME, SINGLE_NAME
from pytest_aprqa.artifact.tensor_source import TensorSource

_HEADER_ALIGNMENT = 8
METADATA = {"format": "pt"}
"""What transformers wants to read in `__metadata__`."""


def write_safetensors(
    path: Path, tensors: Sequence[TensorSource], metadata: Mapping[str, str] = METADATA
) -> None:
    """Write a `.safetensors` file, one tensor in memory at a time, in the order given.

    Raises:
        ArtifactError: MALFORMED, a name occurs twice or data has the wrong size; UNSUPPORTED, a
            type SafeTensors does not have; ENVIRONMENT, the file system refused.
    """
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    sizes: list[int] = []
    position = 0
    for tensor in tensors:
        where = f"tensor {tensor.name!r}"
        if tensor.dtype not in SAFETENSORS_DTYPES:
            raise unsupported(path, f"SafeTensors has no type {tensor.dtype}", where)
        if tensor.name in header or tensor.name == "__metadata__":
            raise malformed(path, "G0-TENSOR-DUPLICATE", "occurs twice or is reserved", where)
        size = nbytes(tensor.dtype, tensor.shape)
        header[tensor.name] = {
            "dtype": tensor.dtype.value,
            "shape": list(tensor.shape),
            "data_offsets": [position, position + size],
        }
        sizes.append(size)
        position += size
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % _HEADER_ALIGNMENT)
    with hashed_file(path) as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for tensor, size in zip(tensors, sizes, strict=True):
            file.write(tensor.bytes_of(size))


def write_sharded_safetensors(
    directory: Path,
    tensors: Sequence[TensorSource],
    max_shard_bytes: int,
    metadata: Mapping[str, str] = METADATA,
) -> tuple[Path, ...]:
    """Write `model.safetensors`, or shards with an index when the tensors are larger than that.

    A tensor that alone is larger gets a shard of its own. The index is written last, so that an
    interrupted run leaves no model that looks complete.

    Returns:
        The files written, the index last.
    """
    shards = _split(tensors, max_shard_bytes)
    if len(shards) == 1:
        write_safetensors(directory / SINGLE_NAME, tensors, metadata)
        return (directory / SINGLE_NAME,)
    weight_map: dict[str, str] = {}
    for number, shard in enumerate(shards, 1):
        name = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        for tensor in shard:
            if tensor.name in weight_map:
                raise malformed(
                    directory / name,
                    "G0-TENSOR-DUPLICATE",
                    "occurs twice",
                    f"tensor {tensor.name!r}",
                )
            weight_map[tensor.name] = name
        write_safetensors(directory / name, shard, metadata)
    total = sum(nbytes(tensor.dtype, tensor.shape) for tensor in tensors)
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    with atomic_file(directory / INDEX_NAME) as file:
        file.write(json.dumps(index, ensure_ascii=False, indent=2).encode("utf-8") + b"\n")
    names = dict.fromkeys(weight_map.values())
    return (*(directory / name for name in names), directory / INDEX_NAME)


def _split(tensors: Sequence[TensorSource], limit: int) -> list[list[TensorSource]]:
    shards: list[list[TensorSource]] = [[]]
    filled = 0
    for tensor in tensors:
        size = nbytes(tensor.dtype, tensor.shape)
        if shards[-1] and filled + size > limit:
            shards.append([])
            filled = 0
        shards[-1].append(tensor)
        filled += size
    return shards
