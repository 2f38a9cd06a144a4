"""A fault: what is done to a sound artifact or its engine, and which gate must notice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from random import Random

from pytest_aprqa.engine.protocol import Engine
from pytest_aprqa.falsify.gate import Gate
from pytest_aprqa.words import Format, Tier

WEIGHTS = {
    Format.SAFETENSORS: "model.safetensors",
    Format.APR: "model.apr",
    Format.GGUF: "model.gguf",
}
"""Name of the weights file in a directory of originals."""


class Family(StrEnum):
    """What a fault is a fault of."""

    CONTAINER = "container"
    DTYPE = "dtype"
    WEIGHTS = "weights"
    CONFIG = "config"
    TOKENIZER = "tokenizer"
    TEMPLATE = "template"
    ENGINE = "engine"


class Original(StrEnum):
    """The sound artifact a fault is seeded into; all are made from the model under trial.

    NATIVE has the model's own dtype. EIGHT and FOUR are quantised to 8 and 4 bits. SHARDED has its
    SafeTensors in two shards. STARTED puts a start token before every text. UNTIED has the head written out as a tensor of its own, BIASED has
    attention biases that cancel: both compute what the model computes.
    """

    NATIVE = "native"
    F32 = "f32"
    F16 = "f16"
    EIGHT = "8 bits"
    FOUR = "4 bits"
    SHARDED = "sharded"
    STARTED = "started"
    UNTIED = "untied"
    BIASED = "biased"


@dataclass(frozen=True, slots=True)
class Sample:
    """A copy of a sound artifact, to be spoilt.

    Attributes:
        format: which artifact of the directory is to be spoilt.
        directory: holds the SafeTensors and, for another format, its file beside them.
    """

    format: Format
    directory: Path

    @property
    def weights(self) -> Path:
        return self.directory / WEIGHTS[self.format]


Wrap = Callable[[Engine], Engine]
"""Puts a faulty engine around a real one."""

Seed = Callable[[Sample, Random], Wrap | None]
"""Spoils a sample in place, or returns what spoils its engine."""


class NotApplicableError(Exception):
    """A fault does not apply to this model; the message says why."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One class of faults.

    Attributes:
        id: stable, unique.
        family: what it is a fault of.
        description: what is done, as one clause.
        expected: per format it is seeded into, the gate that sees it at the latest.
        seed: does it.
        original: what it is seeded into.
        tier: the smallest tier that sees it; below it, it is expected to be missed.
        withholds: it says nothing about the model, so the right answer is to certify nothing: a
            check that has a verdict on the sound artifact has none here.
        blind: why a gate that judges behaviour cannot see it, where none can.
    """

    id: str
    family: Family
    description: str
    expected: Mapping[Format, Gate]
    seed: Seed
    original: Original = Original.NATIVE
    tier: Tier = Tier.MVP
    withholds: bool = False
    blind: str = ""


class Faults:
    """The faults of one family, in the order they are defined."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._all: list[Fault] = []

    def __call__(
        self,
        name: str,
        description: str,
        expected: Mapping[Format, Gate],
        *,
        original: Original = Original.NATIVE,
        tier: Tier = Tier.MVP,
        withholds: bool = False,
        blind: str = "",
    ) -> Callable[[Seed], Seed]:
        """Define a fault by decorating the function that seeds it."""

        def define(seed: Seed) -> Seed:
            self._all.append(
                Fault(
                    f"{self._family}-{name}",
                    self._family,
                    description,
                    expected,
                    seed,
                    original,
                    tier,
                    withholds,
                    blind,
                )
            )
            return seed

        return define

    @property
    def all(self) -> tuple[Fault, ...]:
        return tuple(self._all)


def everywhere(gate: Gate) -> Mapping[Format, Gate]:
    """Expect the same gate for every format."""
    return dict.fromkeys(Format, gate)


def converted(gate: Gate, *, reference: Gate | None = None) -> Mapping[Format, Gate]:
    """Expect a gate for the converted formats, another one for SafeTensors, if seeded there."""
    others = {Format.APR: gate, Format.GGUF: gate}
    return others if reference is None else {Format.SAFETENSORS: reference, **others}


def both(gate: Gate) -> Mapping[Format, Gate]:
    """Expect a gate of both engines that serve: transformers and llama.cpp."""
    return {Format.SAFETENSORS: gate, Format.GGUF: gate}
