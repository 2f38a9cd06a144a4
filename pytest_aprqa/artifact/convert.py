"""Conversion of a model from one format to another, with a record of what was changed."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pytest_aprqa.artifact.apr_write import write_apr
from pytest_aprqa.artifact.atomic_file import atomic_file
from pytest_aprqa.artifact.config_hf import config_to_hf
from pytest_aprqa.artifact.contents import ModelContents, model_contents
from pytest_aprqa.artifact.conversion_record import RECORD_FILE, record_of
from pytest_aprqa.artifact.convert_dtype import (
    DTypeChange,
    quantization_dtype,
    with_target_dtypes,
)
from pytest_aprqa.artifact.convert_metadata import apr_metadata, gguf_metadata
from pytest_aprqa.artifact.convert_notes import conversion_notes
from pytest_aprqa.artifact.digest import DigestCache
from pytest_aprqa.artifact.files import make_artifact
from pytest_aprqa.artifact.gguf_write import write_gguf
from pytest_aprqa.artifact.malformed import environment
from pytest_aprqa.artifact.model import Artifact
from pytest_aprqa.artifact.names import Naming, head_and_embedding, required_tensors
from pytest_aprqa.artifact.rope_factors import factor_tensors
from pytest_aprqa.artifact.safetensors_write import write_sharded_safetensors
from pytest_aprqa.artifact.stack import stored_as
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.artifact.tensor_source import TensorSource
from pytest_aprqa.artifact.tokenizer_hf import write_hf_tokenizer
from pytest_aprqa.words import Format

RECIPE = 3
"""Version of what `convert` writes; a higher one makes cached conversions again."""

_SHARD_BYTES = 5 * 10**9  # as transformers shards
_FILE_NAMES = {Format.APR: "model.apr", Format.GGUF: "model.gguf"}
_TORCH_NAMES = {DType.F32: "float32", DType.F16: "float16", DType.BF16: "bfloat16"}


def convert(
    source: Artifact,
    target: Format,
    directory: Path,
    quantization: str | None = None,
    digests: DigestCache | None = None,
) -> Artifact:
    """Convert a model to another format.

    The result, with `conversion.json` beside it, appears in `directory` whole or not at all.
    Neither the disk is waited for, as `cp` does not wait for it, nor the digest of what was
    written; `record_digest` adds it to `conversion.json`.
    Tensors stream through memory one at a time and keep their dtype where the target can hold it.

    Args:
        source: what to convert; not changed.
        target: format to make.
        directory: to make; what stood there before is replaced.
        quantization: dtype of the matrices, for instance "Q8_0"; None to keep the source's.
        digests: where digests of files are remembered.

    Raises:
        ArtifactError: MALFORMED when the source contradicts itself; UNSUPPORTED, naming it, for an
            architecture, tensor, tokenizer, dtype or quantisation; ENVIRONMENT when the file
            system refuses.
    """
    dtype = None if quantization is None else quantization_dtype(quantization, target)
    digests = digests or DigestCache()
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    except OSError as error:
        raise environment(directory, error) from error
    try:
        with model_contents(source) as contents:
            changes = _write(contents, target, work, dtype)
            notes = conversion_notes(contents, target)
        _write_record(work, source, target, quantization, changes, notes)
        shutil.rmtree(directory, ignore_errors=True)
        work.rename(directory)
    except OSError as error:
        raise environment(directory, error) from error
    finally:
        with suppress(OSError):
            shutil.rmtree(work)
    return converted_artifact(source, target, directory, digests)


def converted_artifact(
    source: Artifact, target: Format, directory: Path, digests: DigestCache
) -> Artifact:
    """Return the artifact that `convert` has made in a directory.

    Raises:
        ArtifactError: NOT_FOUND or ENVIRONMENT.
    """
    return make_artifact(
        target,
        _main_path(target, directory),
        f"converted from {source.format}",
        digests,
        converted_from=source.digest,
        derived=source.derived or source.format is Format.GGUF,
    )


def record_digest(made: Artifact, digests: DigestCache) -> None:
    """Add the sha256 of what `convert` has made to its record, once they are known.

    Raises:
        ArtifactError: ENVIRONMENT when the file system refuses; NOT_FOUND when it is gone.
    """
    path = record_of(made)
    files = {file.name: digests.sha256(file) for file in made.files}
    try:
        record = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise environment(path, error) from error
    record["target"] |= {"digest": made.digest, "files": files}
    with atomic_file(path) as file:
        file.write(_json(record).encode())


def _main_path(target: Format, directory: Path) -> Path:
    return directory / _FILE_NAMES[target] if target in _FILE_NAMES else directory


def _write(
    contents: ModelContents, target: Format, directory: Path, quantization: DType | None
) -> list[DTypeChange]:
    routers = {slot.hf for slot in required_tensors(contents.config) if slot.router}
    tensors, changes = with_target_dtypes(contents.tensors, target, quantization, routers)
    if target is Format.SAFETENSORS:
        stored = stored_as(Naming.HF, contents.config, tensors)
        _write_safetensors(contents, stored, directory)
    elif target is Format.APR:
        whole = _with_head(contents, stored_as(Naming.HF, contents.config, tensors))
        write_apr(directory / _FILE_NAMES[target], whole, apr_metadata(contents, whole))
    else:
        stored = stored_as(Naming.GGUF, contents.config, tensors)
        named = [*factor_tensors(contents.config), *stored]
        write_gguf(directory / _FILE_NAMES[target], named, gguf_metadata(contents, named))
    return changes


def _write_safetensors(
    contents: ModelContents, tensors: Sequence[TensorSource], directory: Path
) -> None:
    write_sharded_safetensors(directory, tensors, _SHARD_BYTES)
    dtypes = {tensor.dtype for tensor in tensors}
    # Loaded in a narrower dtype than the widest, the others would be rounded.
    dtype = _TORCH_NAMES.get(dtypes.pop(), "float32") if len(dtypes) == 1 else "float32"
    _write_json(directory / "config.json", config_to_hf(replace(contents.config, dtype=dtype)))
    if contents.vocabulary is not None:
        write_hf_tokenizer(contents.vocabulary, directory, contents.config)


def _with_head(contents: ModelContents, tensors: Sequence[TensorSource]) -> list[TensorSource]:
    """Add the head of a tied model: readers of APR look for it by name."""
    pair = head_and_embedding(contents.config.architecture)
    if not contents.config.tied or pair is None:
        return list(tensors)
    head, embedding = pair
    (source,) = (tensor for tensor in tensors if tensor.name == embedding)
    return [*tensors, replace(source, name=head)]


def _write_record(
    directory: Path,
    source: Artifact,
    target: Format,
    quantization: str | None,
    changes: Sequence[DTypeChange],
    notes: Sequence[str],
) -> None:
    _write_json(
        directory / RECORD_FILE,
        {
            "recipe": RECIPE,
            "source": {"format": source.format, "digest": source.digest},
            "target": {"format": target},
            "quantization": quantization,
            "dtype_changes": [asdict(change) for change in changes],
            "notes": list(notes),
        },
    )


def _write_json(path: Path, value: Any) -> None:
    path.write_text(_json(value), "utf-8")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
