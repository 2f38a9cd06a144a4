"""Which tensors a model has, by the names each format gives them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from pytest_aprqa.artifact.architecture import Architecture, Layout, TensorRule
from pytest_aprqa.artifact.config import ModelConfig


class Naming(StrEnum):
    """Whose names and row order the tensors of a file bear. APR may have either."""

    HF = "hf"
    GGUF = "gguf"


@dataclass(frozen=True, slots=True)
class TensorSlot:
    """One tensor a model must have.

    Attributes:
        hf: name in SafeTensors, and in APR as we write it.
        gguf: name in GGUF.
        shape: row-major.
        layout: how GGUF holds the values.
    """

    hf: str
    gguf: str
    shape: tuple[int, ...]
    layout: Layout

    def name(self, naming: Naming) -> str:
        return self.hf if naming is Naming.HF else self.gguf


def required_tensors(config: ModelConfig) -> tuple[TensorSlot, ...]:
    """Return every tensor the model must have and none it must not, layer by layer.

    A tied head is not among them: SafeTensors and GGUF leave it out, APR adds it.

    Raises:
        ArtifactError: UNSUPPORTED for an unknown architecture.
    """
    return tuple(
        TensorSlot(
            hf=rule.hf.replace("{}", str(layer)),
            gguf=rule.gguf.replace("{}", str(layer)),
            shape=tuple(getattr(config, dimension) for dimension in rule.shape),
            layout=rule.layout,
        )
        for rule, layer in _in_order(config)
        if not rule.when or getattr(config, rule.when)
    )


def naming_of(names: Iterable[str]) -> Naming:
    """Return whose names these are: GGUF's begin with `blk.` or `token_embd.`."""
    is_gguf = any(name.startswith(("blk.", "token_embd.")) for name in names)
    return Naming.GGUF if is_gguf else Naming.HF


def flags_of(known: Architecture, names: Iterable[str], naming: Naming) -> dict[str, bool]:
    """Return the boolean ModelConfig fields that the presence of tensors decides.

    GGUF does not state whether a projection has a bias or the head is tied; its tensors do.
    """
    present = set(names)
    flags: dict[str, bool] = {}
    for rule in known.tensors:
        if rule.when:
            name = (rule.hf if naming is Naming.HF else rule.gguf).replace("{}", "0")
            flags[rule.when] = flags.get(rule.when, False) or name in present
    if "untied" in flags:
        flags["tied"] = not flags.pop("untied")
    return flags


def head_and_embedding(known: Architecture) -> tuple[str, str] | None:
    """Return the Hugging Face names of output head and input embedding; None without a head."""
    head = next((rule.hf for rule in known.tensors if rule.when == "untied"), None)
    return None if head is None else (head, known.tensors[0].hf)


def _in_order(config: ModelConfig) -> Iterator[tuple[TensorRule, int]]:
    """Yield the rules in file order: the embedding, layer by layer, then norm and head."""
    rules = config.architecture.tensors
    layered = [rule for rule in rules if "{}" in rule.hf]
    single = [rule for rule in rules if "{}" not in rule.hf]
    yield single[0], 0  # the embedding
    for layer in range(config.num_layers):
        yield from ((rule, layer) for rule in layered)
    yield from ((rule, 0) for rule in single[1:])
