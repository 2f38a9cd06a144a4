"""What a conversion said it would change: the declared dtype of each tensor."""

from __future__ import annotations

import json
from pathlib import Path

from pytest_aprqa.artifact.contents import model_tensors
from pytest_aprqa.artifact.model import Artifact
from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.artifact.stated_dtype import stated_dtype
from pytest_aprqa.artifact.tensor_file import DType

_WIDER = {
    DType.F16: (DType.F32, DType.F64),
    DType.BF16: (DType.F32, DType.F64),
    DType.F32: (DType.F64,),
}


RECORD_FILE = "conversion.json"


def record_of(made: Artifact) -> Path:
    """Return where the record of a conversion lies."""
    return (made.path if made.path.is_dir() else made.path.parent) / RECORD_FILE


def declared_dtypes(reference: Artifact, artifact: Artifact) -> dict[str, DType]:
    """Return the dtype that each changed tensor of an artifact was declared to have.

    A conversion declares its changes in the record beside its result. That of a SafeTensors made
    from this very artifact is read backwards: what it declared as source, the artifact has. A file
    without a record, of whatever maker, declares what its own metadata state.
    """
    if artifact.converted_from == reference.digest:
        return {c["tensor"]: DType(c["target"]) for c in _changes(artifact)}
    if reference.converted_from == artifact.digest:
        return {c["tensor"]: DType(c["source"]) for c in _changes(reference)}
    return _stated(artifact)


def _stated(artifact: Artifact) -> dict[str, DType]:
    with model_tensors(artifact) as (_, tensors), open_tensors(artifact.path) as file:
        stated = {
            tensor.name: stated_dtype(
                artifact.format, file.metadata, tensor.name, tensor.dtype, tensor.shape
            )
            for tensor in tensors
        }
    return {name: dtype for name, dtype in stated.items() if dtype is not None}


def rounds_to(reference: Artifact, artifact: Artifact, ours: DType, theirs: DType) -> DType:
    """Return the dtype whose rounding may lie between a tensor of the two artifacts.

    F32 when every value must be the same: nothing changed, or the wider type was written.

    Args:
        reference: the one with the right values.
        artifact: the one compared with it.
        ours: dtype of the tensor in the reference.
        theirs: dtype of the tensor in the artifact.
    """
    backwards = reference.converted_from == artifact.digest
    written = ours if backwards else theirs
    return DType.F32 if ours is theirs else written


def is_lossless(ours: DType, theirs: DType) -> bool:
    """Whether every value of one dtype can be had back from another, by the dtypes alone."""
    return ours is theirs or theirs in _WIDER.get(ours, ())


def _changes(artifact: Artifact) -> list[dict[str, str]]:
    record = json.loads(record_of(artifact).read_text(encoding="utf-8"))
    changes: list[dict[str, str]] = record["dtype_changes"]
    return changes
