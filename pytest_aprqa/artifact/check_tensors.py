"""Which tensors a file holds and of what shape, against its configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pytest_aprqa.artifact.config import RULE, ModelConfig
from pytest_aprqa.artifact.contents import (
    MISSING_RULE,
    SHAPE_RULE,
    TIED_RULE,
    false_tie,
    unexpected_tensors,
)
from pytest_aprqa.artifact.gguf_file import alignment_of
from pytest_aprqa.artifact.names import (
    Naming,
    TensorSlot,
    head_and_embedding,
    naming_of,
    required_tensors,
    stored_shapes,
)
from pytest_aprqa.artifact.tensor_file import TensorFile
from pytest_aprqa.observation import FileReport, Finding, Severity
from pytest_aprqa.words import Format

UNEXPECTED_RULE = "G0-UNEXPECTED-TENSOR"
HEAD_RULE = "F-LAYOUT-CONTRACT-002"
OFFSETS_RULE = "G0-OFFSETS"

_LAYER = re.compile(r"\.(\d+)\.")
_EXPERT = re.compile(r"\.experts\.(\d+)\.")
_HEADS = ("lm_head.weight", "output.weight")
_Shapes = Mapping[str, tuple[int, ...]]
_SHOWN = 5  # findings of one kind that are listed before the rest is counted


def check_tensors(file: TensorFile, config: ModelConfig) -> FileReport:
    """Compare names and shapes of a file's tensors with what its configuration demands.

    Raises:
        ArtifactError: UNSUPPORTED, when the architecture is unknown.
    """
    naming = naming_of(file.tensors)
    slots = required_tensors(config)
    shapes = stored_shapes(slots, naming)
    findings = [
        *_shown(list(_missing(file, shapes))),
        *_shown(list(_shapes(file, shapes, config))),
        *_shown(list(_unexpected(file, slots, config))),
        *_head(file, config),
        *_beyond(file),
    ]
    return FileReport(tuple(findings), {"required_tensors": len(shapes)})


def _missing(file: TensorFile, shapes: _Shapes) -> Iterator[Finding]:
    for name, shape in shapes.items():
        if name not in file.tensors:
            yield Finding(
                MISSING_RULE,
                f"tensor {name!r} is missing; the configuration demands it with shape "
                f"{list(shape)}",
                where=name,
            )


def _shapes(file: TensorFile, shapes: _Shapes, config: ModelConfig) -> Iterator[Finding]:
    for name, shape in shapes.items():
        info = file.tensors.get(name)
        if info is None or info.shape == shape:
            continue
        hint = ""
        if info.shape == shape[::-1]:
            hint = "; its dimensions are listed in reverse"
        elif shape[0] == config.num_experts and info.shape[1:] == shape[1:]:
            hint = f"; it is made for {info.shape[0]} experts, not for {shape[0]}"
        yield Finding(
            HEAD_RULE if name in _HEADS else SHAPE_RULE,
            f"tensor {info.name!r} has shape {list(info.shape)}, "
            f"by the configuration it must be {list(shape)}{hint}",
            where=info.name,
        )


def _unexpected(
    file: TensorFile, slots: tuple[TensorSlot, ...], config: ModelConfig
) -> Iterator[Finding]:
    for name in unexpected_tensors(file, slots):
        layer, expert = _LAYER.search(name), _EXPERT.search(name)
        if layer and int(layer[1]) >= config.num_layers:
            message = f"tensor {name!r} belongs to layer {layer[1]} of {config.num_layers}"
            yield Finding(RULE, message, where=name)
        elif expert and int(expert[1]) >= (config.num_experts or 0):
            message = f"tensor {name!r} belongs to expert {expert[1]} of {config.num_experts or 0}"
            yield Finding(RULE, message, where=name)
        else:
            message = f"tensor {name!r} has no place in a {config.model_type} model"
            yield Finding(UNEXPECTED_RULE, message, Severity.WARNING, name)


def _head(file: TensorFile, config: ModelConfig) -> Iterator[Finding]:
    """Check the head of a tied model: in APR it must be there, and it must be the embedding."""
    pair = head_and_embedding(config.architecture)
    named = naming_of(file.tensors) is not Naming.GGUF
    if pair is not None and config.tied and file.format is Format.APR and named:
        head, embedding = pair
        if head not in file.tensors:
            message = f"{head!r} is missing; APR holds it even when it is tied to {embedding!r}"
            yield Finding(TIED_RULE, message, where=head)
    contradiction = false_tie(file, config)
    if contradiction:
        yield Finding(TIED_RULE, contradiction)


def _beyond(file: TensorFile) -> Iterator[Finding]:
    """Find what follows the last tensor of a GGUF, whose readers do not look there.

    The other containers are refused for it when they are opened.
    """
    if file.format is not Format.GGUF or not file.tensors:
        return
    last = max(file.tensors.values(), key=lambda info: info.offset + info.nbytes)
    end = last.offset + last.nbytes
    padding = -end % alignment_of(last.path, file.metadata)
    beyond = last.path.stat().st_size - end
    if beyond > padding:
        message = (
            f"{last.path.name} has {beyond} bytes after its last tensor, padding takes {padding}"
        )
        yield Finding(OFFSETS_RULE, message, where=f"{last.path.name}, byte {end}")


def _shown(findings: list[Finding]) -> Iterator[Finding]:
    yield from findings[:_SHOWN]
    rest = len(findings) - _SHOWN
    if rest > 0:
        last = findings[-1]
        yield Finding(last.rule, f"and {rest} more such tensors", last.severity)
