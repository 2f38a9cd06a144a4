"""Which tensors a model has, by the names each format gives them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pytest_aprqa.artifact.architecture import Architecture, Layout, TensorRule
from pytest_aprqa.artifact.config import ModelConfig

_PLACE = re.compile(r"(?P<name>[^[]+)(?P<stack>\[e(,(?P<part>\d+)/(?P<parts>\d+))?\])?")


class Naming(StrEnum):
    """Whose names and row order the tensors of a file bear. APR may have any.

    FUSED is HF as transformers 5 has it in memory: the experts of a layer in one tensor.
    """

    HF = "hf"
    FUSED = "fused"
    GGUF = "gguf"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file has a tensor: it is a stored tensor, or one of the equal parts of a stack.

    Attributes:
        name: of the stored tensor.
        shape: of the stored tensor, row-major.
        index, parts: which part of how many, in the order they lie in.
    """

    name: str
    shape: tuple[int, ...]
    index: int = 0
    parts: int = 1

    def __str__(self) -> str:
        return self.name if self.parts == 1 else f"{self.name}[{self.index}]"


@dataclass(frozen=True, slots=True)
class TensorSlot:
    """One tensor a model must have; no format cuts it further.

    Attributes:
        places: where each naming has it.
        shape: row-major, in SafeTensors.
        layout: how GGUF holds the values.
        router: it is never quantised.
    """

    places: Mapping[Naming, Place]
    shape: tuple[int, ...]
    layout: Layout
    router: bool = False

    @property
    def hf(self) -> str:
        """Name in SafeTensors, and in APR as we write it."""
        return self.name(Naming.HF)

    def name(self, naming: Naming) -> str:
        """Return its name, with its number in brackets when it is part of a stack."""
        return str(self.places[naming])


def required_tensors(config: ModelConfig) -> tuple[TensorSlot, ...]:
    """Return every tensor the model must have and none it must not, layer by layer.

    A tied head is not among them: SafeTensors and GGUF leave it out, APR adds it.

    Raises:
        ArtifactError: UNSUPPORTED for an unknown architecture.
    """
    return tuple(
        _slot(rule, config, layer, expert)
        for rule, layer in _in_order(config)
        if not rule.when or getattr(config, rule.when)
        for expert in range(_experts(config) if rule.per_expert else 1)
    )


def stored_shapes(slots: Sequence[TensorSlot], naming: Naming) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor that a file has for these slots, by its name."""
    return {slot.places[naming].name: slot.places[naming].shape for slot in slots}


def with_parts(names: Iterable[str], slots: Sequence[TensorSlot], naming: Naming) -> list[str]:
    """Return the names of a file's tensors, those of stacks replaced by those of their parts."""
    parts: dict[str, list[str]] = {}
    for slot in slots:
        parts.setdefault(slot.places[naming].name, []).append(slot.name(naming))
    return [part for name in names for part in parts.get(name, [name])]


def naming_of(names: Iterable[str]) -> Naming:
    """Return whose names these are, by those that only one naming has."""
    for name in names:
        if name.startswith(("blk.", "token_embd.")):
            return Naming.GGUF
        if name.endswith((".experts.gate_up_proj", ".experts.down_proj")):
            return Naming.FUSED
    return Naming.HF


def flags_of(known: Architecture, names: Iterable[str], naming: Naming) -> dict[str, bool]:
    """Return the boolean ModelConfig fields that the presence of tensors decides.

    GGUF does not state whether a projection has a bias or the head is tied; its tensors do.
    """
    present = set(names)
    patterns = [pattern_of(rule, naming) for rule in known.tensors]
    flags: dict[str, bool] = {}
    for rule, pattern in zip(known.tensors, patterns, strict=True):
        if rule.when and patterns.count(pattern) == 1:
            name = _named(pattern, layer=0, expert=0)
            flags[rule.when] = flags.get(rule.when, False) or name in present
    if "untied" in flags:
        flags["tied"] = not flags.pop("untied")
    return flags


def head_and_embedding(known: Architecture) -> tuple[str, str] | None:
    """Return the Hugging Face names of output head and input embedding; None without a head."""
    head = next((rule.hf for rule in known.tensors if rule.when == "untied"), None)
    return None if head is None else (head, known.tensors[0].hf)


def _slot(rule: TensorRule, config: ModelConfig, layer: int, expert: int) -> TensorSlot:
    shape = _sizes(rule.shape, config)
    places = {
        naming: _place(
            _named(pattern_of(rule, naming), layer, expert),
            _sizes(rule.gguf_shape, config) if naming is Naming.GGUF and rule.gguf_shape else shape,
            expert,
            _experts(config),
        )
        for naming in Naming
    }
    return TensorSlot(places, shape, rule.layout, rule.router)


def _experts(config: ModelConfig) -> int:
    return config.num_experts or 0


def pattern_of(rule: TensorRule, naming: Naming) -> str:
    """Return the name of a rule in a naming, with layer and expert left open."""
    return {Naming.HF: rule.hf, Naming.FUSED: rule.fused or rule.hf, Naming.GGUF: rule.gguf}[naming]


def _named(pattern: str, layer: int, expert: int) -> str:
    return pattern.replace("{}", str(layer)).replace("{e}", str(expert))


def _sizes(shape: tuple[str | int, ...], config: ModelConfig) -> tuple[int, ...]:
    return tuple(size if isinstance(size, int) else getattr(config, size) for size in shape)


def _place(name: str, shape: tuple[int, ...], expert: int, experts: int) -> Place:
    match = _PLACE.fullmatch(name)
    assert match is not None
    if match["stack"] is None:
        return Place(name, shape)
    part, parts = int(match["part"] or 0), int(match["parts"] or 1)
    stacked = (experts, parts * shape[0], *shape[1:])
    return Place(match["name"], stacked, expert * parts + part, experts * parts)


def _in_order(config: ModelConfig) -> Iterator[tuple[TensorRule, int]]:
    """Yield the rules in file order: the embedding, layer by layer, then norm and head."""
    rules = config.architecture.tensors
    layered = [rule for rule in rules if "{}" in rule.hf]
    single = [rule for rule in rules if "{}" not in rule.hf]
    yield single[0], 0  # the embedding
    for layer in range(config.num_layers):
        yield from ((rule, layer) for rule in layered)
    yield from ((rule, 0) for rule in single[1:])
