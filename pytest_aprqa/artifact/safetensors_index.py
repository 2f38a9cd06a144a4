"""The index of a sharded SafeTensors model, `model.safetensors.index.json`."""

from __future__ import annotations

from pathlib import Path

from pytest_aprqa.artifact.malformed import environment, malformed
from pytest_aprqa.artifact.model_file import leads_out, read_whole
from pytest_aprqa.artifact.strict_json import JsonError, parse_object

INDEX_NAME = "model.safetensors.index.json"
SINGLE_NAME = "model.safetensors"


def read_index(path: Path) -> dict[str, str]:
    """Return the shard that holds each tensor, by tensor name.

    Every shard must be a plain file name, and a link only within the directory or, in a
    Hugging Face cache, to the blobs of the same repository.

    Raises:
        ArtifactError: MALFORMED, with rule G0-INDEX, when the index is not that.
    """
    try:
        index = parse_object(read_whole(path))
    except JsonError as error:
        raise malformed(path, "G0-INDEX", f"is not a valid index: {error}") from None
    except OSError as error:
        raise environment(path, error) from error
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise malformed(path, "G0-INDEX", "has no weight_map")
    for name, shard in weight_map.items():
        if not isinstance(shard, str):
            raise malformed(path, "G0-INDEX", "has no file name", f"tensor {name!r}")
    for shard in set(weight_map.values()):
        _refuse_escape(path, shard)
    return weight_map


_LONGEST_NAME = 255
"""Bytes of a file name on every file system we know."""


def _refuse_escape(index: Path, shard: str) -> None:
    encoded = shard.encode("utf-8", "surrogatepass")
    if (
        len(encoded) > _LONGEST_NAME
        or shard in ("", ".", "..")
        or "/" in shard
        or "\\" in shard
        or "\0" in shard
    ):
        raise malformed(
            index, "G0-INDEX", f"names {shard!r}, which is not a file name in its directory"
        )
    target = index.parent / shard
    if leads_out(target):
        raise malformed(index, "G0-INDEX", f"names {shard!r}, a link that leads out of the model")
    if not target.exists():
        raise malformed(index, "G0-INDEX", f"names {shard!r}, which does not exist")
