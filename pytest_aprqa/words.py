"""The words of the product, each an enum or a small value, shared by every layer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, get_args


class Format(StrEnum):
    """How the weights lie on disk."""

    SAFETENSORS = "safetensors"
    APR = "apr"
    GGUF = "gguf"


REFERENCE = Format.SAFETENSORS
"""The format that all others are held against."""


class Backend(StrEnum):
    """Where the engine computes."""

    CPU = "cpu"
    GPU = "gpu"


class Modality(StrEnum):
    """How the model is asked: raw completion, chat template, or over HTTP."""

    RUN = "run"
    CHAT = "chat"
    SERVE = "serve"


class Tier(StrEnum):
    """How much is tested, from seconds to a day."""

    SMOKE = "smoke"
    MVP = "mvp"
    QUICK = "quick"
    STANDARD = "standard"
    DEEP = "deep"


class Category(StrEnum):
    """What a check says something about; the parts of the score."""

    QUAL = "QUAL"
    PERF = "PERF"
    STAB = "STAB"
    COMP = "COMP"
    EDGE = "EDGE"
    REGR = "REGR"


class Gateway(StrEnum):
    """The conditions without which no score counts."""

    G0 = "G0"
    G1 = "G1"
    G2 = "G2"
    G3 = "G3"
    G4 = "G4"


LOADED = (Gateway.G0, Gateway.G1, Gateway.G2)
"""What comes before anything else that is asked of an engine."""

Invariant = Literal["I-1", "I-2", "I-3", "I-4", "I-5"]

INVARIANTS: tuple[Invariant, ...] = get_args(Invariant)
"""What a conversion must keep."""


class FailurePolicy(StrEnum):
    """What a failure does to the checks that have not run yet."""

    STOP_ON_FIRST = "stop-on-first"
    STOP_ON_P0 = "stop-on-p0"
    COLLECT_ALL = "collect-all"
    FAIL_FAST = "fail-fast"


class Outcome(StrEnum):
    """How a check ended. Skipped and inconclusive are neither a pass nor a failure."""

    CORROBORATED = "corroborated"
    FALSIFIED = "falsified"
    CRASHED = "crashed"
    TIMEOUT = "timeout"
    SKIPPED = "skipped"
    INCONCLUSIVE = "inconclusive"

    @property
    def passes(self) -> bool:
        return self is Outcome.CORROBORATED

    @property
    def fails(self) -> bool:
        return self in (Outcome.FALSIFIED, Outcome.CRASHED, Outcome.TIMEOUT)

    @property
    def executed(self) -> bool:
        """Whether the check came to a verdict; only such checks enter the score."""
        return self.passes or self.fails


class Attribution(StrEnum):
    """Whose doing an outcome is."""

    MODEL = "model"
    CONVERSION = "conversion"
    ENGINE = "engine"
    ENVIRONMENT = "environment"


class GateSeverity(StrEnum):
    """How much it matters that a condition of a playbook does not hold.

    P0 blocks the model as a gateway does, P1 keeps it from being certified, P2 is only told.
    """

    P0 = "P0"
    P1 = "P1"
    P2 = "P2"


class Status(StrEnum):
    """What the certificate says about the model."""

    CERTIFIED = "CERTIFIED"
    PROVISIONAL = "PROVISIONAL"
    BLOCKED = "BLOCKED"
    PENDING = "PENDING"
    PARTIAL = "PARTIAL"
    FAIL = "FAIL"


class SizeCategory(StrEnum):
    """Size by parameter count: < 1B, 1-5B, 5-10B, 10-30B, 30-70B, > 70B."""

    TINY = "tiny"
    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"
    XLARGE = "xlarge"
    HUGE = "huge"

    @classmethod
    def of(cls, parameters: int) -> SizeCategory:
        """Return the category of a model with this many parameters."""
        billions = parameters / 1e9
        if billions < 1:
            return cls.TINY
        if billions < 5:
            return cls.SMALL
        if billions < 10:
            return cls.MEDIUM
        if billions < 30:
            return cls.LARGE
        return cls.XLARGE if billions <= 70 else cls.HUGE


@dataclass(frozen=True, slots=True)
class Cell:
    """The part of format x backend x modality a check is about; None where it does not matter.

    Attributes:
        quantization: which of a format's artifacts, in lower case, where a plan has several of
            them; None where the format alone says which.
    """

    format: Format | None = None
    backend: Backend | None = None
    modality: Modality | None = None
    quantization: str | None = None

    def __str__(self) -> str:
        parts = (self.format, self.quantization, self.backend, self.modality)
        return "-".join(part for part in parts if part)

    @classmethod
    def named(cls, artifact: str) -> Cell:
        """Return the artifact of a name."""
        format_, _, quantization = artifact.partition("-")
        return cls(Format(format_), quantization=quantization or None)

    @property
    def artifact(self) -> Cell:
        """The artifact alone; as text its name ("gguf", "gguf-q8_0")."""
        return Cell(self.format, quantization=self.quantization)

    @property
    def engine(self) -> Cell:
        """The artifact on its backend, the CPU unless said otherwise: what is loaded once."""
        return Cell(self.format, self.backend or Backend.CPU, quantization=self.quantization)


def reference_cell(modality: Modality | None = None) -> Cell:
    """Return the cell that all others of a modality are held against."""
    return Cell(REFERENCE, Backend.CPU, modality)


REFERENCE_ENGINE = reference_cell()
"""Whose engine it is that all others are held against."""
