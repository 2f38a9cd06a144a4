"""A model read from any format: configuration, tokenizer, and tensors under one set of names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pytest_aprqa.artifact.config import ModelConfig
from pytest_aprqa.artifact.config_apr import config_from_apr
from pytest_aprqa.artifact.config_gguf import config_from_gguf
from pytest_aprqa.artifact.config_hf import config_from_hf, read_hf_config
from pytest_aprqa.artifact.model import Artifact, ArtifactError, ArtifactFault
from pytest_aprqa.artifact.names import (
    Naming,
    TensorSlot,
    head_and_embedding,
    naming_of,
    required_tensors,
    stored_shapes,
)
from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.artifact.rope_factors import FACTOR_TENSORS
from pytest_aprqa.artifact.row_order import to_hf_layout
from pytest_aprqa.artifact.same_bytes import same_bytes
from pytest_aprqa.artifact.stack import can_be_stacked
from pytest_aprqa.artifact.tensor_file import TensorFile
from pytest_aprqa.artifact.tensor_source import TensorSource
from pytest_aprqa.artifact.tokenizer import Vocabulary, vocabulary_from_apr, vocabulary_from_gguf
from pytest_aprqa.artifact.tokenizer_read import vocabulary_from_hf
from pytest_aprqa.words import Format

MISSING_RULE = "G0-MISSING-TENSOR"
SHAPE_RULE = "F-LAYOUT-CONTRACT-001"
TIED_RULE = "F-LAYOUT-CONTRACT-003"

# Buffers old checkpoints carry along; every loader computes them itself.
_BUFFERS = re.compile(r".*\.(rotary_emb\.inv_freq|attention\.masked_bias|attention\.bias)")


@dataclass(frozen=True, slots=True)
class ModelContents:
    """What a model is, whatever file it lies in.

    Attributes:
        config: its shape.
        vocabulary: its tokenizer and template, or None when the files hold none.
        tensors: under Hugging Face names in Hugging Face row order, in the dtype they are stored
            in; a tied head is not among them. Their data is read when asked for.
        name: for people.
    """

    config: ModelConfig
    vocabulary: Vocabulary | None
    tensors: tuple[TensorSource, ...]
    name: str


@contextmanager
def model_contents(artifact: Artifact) -> Iterator[ModelContents]:
    """Open an artifact of any format as a model; its tensors may be read inside the block.

    Raises:
        ArtifactError: MALFORMED when the file contradicts itself or a tensor is missing or has the
            wrong shape; UNSUPPORTED, naming it, for an unknown architecture, tensor or tokenizer.
    """
    with open_tensors(artifact.path) as file:
        config = read_config(artifact.format, artifact.path, file)
        yield ModelContents(
            config=config,
            vocabulary=read_vocabulary(artifact.format, artifact.path, file, config),
            tensors=tuple(_tensors(file, config)),
            name=str(file.metadata.get("general.name") or file.metadata.get("name") or ""),
        )


@contextmanager
def model_tensors(artifact: Artifact) -> Iterator[tuple[ModelConfig, tuple[TensorSource, ...]]]:
    """Open an artifact as `model_contents` does, for its configuration and tensors alone.

    Raises:
        ArtifactError: as `model_contents`.
    """
    with open_tensors(artifact.path) as file:
        config = read_config(artifact.format, artifact.path, file)
        yield config, tuple(_tensors(file, config))


def read_config(form: Format, path: Path, file: TensorFile) -> ModelConfig:
    """Return the configuration that goes with an open file.

    Raises:
        ArtifactError: MALFORMED (G0-CONFIG) or UNSUPPORTED.
    """
    if form is Format.SAFETENSORS:
        return config_from_hf(read_hf_config(path))
    return config_from_gguf(file) if form is Format.GGUF else config_from_apr(file)


def read_vocabulary(
    form: Format, path: Path, file: TensorFile, config: ModelConfig
) -> Vocabulary | None:
    """Return the tokenizer that goes with an open file, or None when there is none.

    Raises:
        ArtifactError: MALFORMED (G0-TOKENIZER) or UNSUPPORTED.
    """
    if form is Format.SAFETENSORS:
        return vocabulary_from_hf(path, config)
    metadata: Any = file.metadata
    return vocabulary_from_gguf(metadata) if form is Format.GGUF else vocabulary_from_apr(metadata)


def unexpected_tensors(file: TensorFile, slots: Sequence[TensorSlot]) -> list[str]:
    """Return the names in a file that the architecture has no place for."""
    naming = naming_of(file.tensors)
    expected = stored_shapes(slots, naming)
    known = (*FACTOR_TENSORS, "lm_head.weight", "output.weight")
    return [
        name
        for name in file.tensors
        if name not in expected and name not in known and not _BUFFERS.fullmatch(name)
    ]


def _tensors(file: TensorFile, config: ModelConfig) -> Iterator[TensorSource]:
    naming = naming_of(file.tensors)
    slots = required_tensors(config)
    unexpected = unexpected_tensors(file, slots)
    if unexpected:
        raise ArtifactError(
            ArtifactFault.UNSUPPORTED,
            f"tensor {unexpected[0]!r} has no place in a {config.model_type} model "
            f"({len(unexpected)} such tensors)",
            where=unexpected[0],
        )
    for slot in slots:
        yield _tensor(file, config, slot, naming)
    contradiction = false_tie(file, config)
    if contradiction:
        raise ArtifactError(ArtifactFault.MALFORMED, contradiction, rule=TIED_RULE)


def _tensor(
    file: TensorFile, config: ModelConfig, slot: TensorSlot, naming: Naming
) -> TensorSource:
    place = slot.places[naming]
    name = place.name
    info = file.tensors.get(name)
    if info is None:
        raise ArtifactError(
            ArtifactFault.MALFORMED,
            f"{file.paths[0].name} has no tensor {name!r}, which a {config.model_type} model of "
            f"{config.num_layers} layers must have",
            rule=MISSING_RULE,
            where=name,
        )
    if info.shape != place.shape:
        raise ArtifactError(
            ArtifactFault.MALFORMED,
            f"tensor {name!r} has shape {list(info.shape)}, "
            f"by the configuration it must be {list(place.shape)}",
            rule=SHAPE_RULE,
            where=name,
        )
    if place.parts > 1 and not can_be_stacked(info.dtype, slot.shape):
        raise ArtifactError(
            ArtifactFault.UNSUPPORTED,
            f"tensor {name!r} is a stack whose parts cannot be told apart in {info.dtype}",
            where=name,
        )
    which = name, place.index, place.parts
    stored = TensorSource(
        slot.hf, info.dtype, slot.shape, partial(file.raw, *which), partial(file.bring, *which)
    )
    return to_hf_layout(stored, slot.layout, config) if naming is Naming.GGUF else stored


def false_tie(file: TensorFile, config: ModelConfig) -> str:
    """Say how the head of a file contradicts its tied embedding; "" when it does not.

    GGUF has no say in it: there a model is tied by having no head.
    """
    pair = head_and_embedding(config.architecture)
    if not config.tied or pair is None or file.format is Format.GGUF:
        return ""
    head, embedding = pair
    both = head in file.tensors and embedding in file.tensors
    if both and not same_bytes(file.raw(head), file.raw(embedding)):
        return f"the embeddings are declared tied, but {head!r} differs from {embedding!r}"
    return ""
