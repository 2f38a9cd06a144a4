"""Evidence: the record of one check, complete enough to judge and score it again."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from pytest_aprqa.playbook.check import CheckKind
from pytest_aprqa.words import (
    Attribution,
    Backend,
    Category,
    Cell,
    Format,
    GateSeverity,
    Modality,
    Outcome,
)

SCHEMA_VERSION = "1"

Quantization = Annotated[str | None, Field(exclude_if=lambda value: value is None)]
"""Left out of what is written where a format has one artifact, so that such records stay as they were."""


class Attempt(BaseModel):
    """One try at a check. There is more than one only after a crash, a hang or the fault of a batch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcome: Outcome
    reason: str = ""
    seconds: float = 0.0
    signal: str = ""
    stderr: str = ""


class Evidence(BaseModel):
    """What one check left behind.

    Attributes:
        check: name of the check, unique in its plan.
        gate_id: stable id of what was tested.
        kind, subject, category, format, backend, modality: as planned.
        quantization: which artifact of the format, where the plan has several.
        compared: how many of what were compared ({"prompts": 1, "tokens": 12}). All zero, or
            empty, never goes with corroborated.
        prompt: what was asked, rendered text where a template was applied.
        answer: the model's text only.
        expected: what the oracle wanted, in words.
        raw: what the engine printed or sent, verbatim and capped.
        metrics: named numbers with their unit in the name ("decode_tokens_per_second").
        observation: everything else that a re-judging needs, as plain JSON.
        attempts: every try, in order; never only the last one.
        flaky: a crash or hang did not repeat in a fresh engine.
        reused: found by an earlier run, at `started`, for the same files, engines and machine.
    """

    # Texts hardly come twice, and sessions of thousands of checks would keep them for nothing.
    model_config = ConfigDict(frozen=True, extra="forbid", cache_strings="keys")

    check: str
    gate_id: str
    kind: str
    category: Category | None = None
    subject: str = ""
    format: Format | None = None
    backend: Backend | None = None
    modality: Modality | None = None
    quantization: Quantization = None
    outcome: Outcome
    reason: str = ""
    attribution: Attribution | None = None
    compared: dict[str, int] = Field(default_factory=dict)
    prompt: str | None = None
    answer: str | None = None
    expected: str | None = None
    raw: str | None = None
    metrics: dict[str, float] = Field(default_factory=dict)
    observation: dict[str, Any] = Field(default_factory=dict)
    attempts: tuple[Attempt, ...] = ()
    flaky: bool = False
    reused: bool = False
    engine: str = ""
    artifact_digest: str = ""
    started: str = ""
    seconds: float = 0.0

    @property
    def is_p0(self) -> bool:
        """Whether a failure of this check is of the first priority: a gateway's, or called so."""
        return self.kind == CheckKind.GATEWAY or self.severity is GateSeverity.P0

    @property
    def severity(self) -> GateSeverity | None:
        """How much a condition of the playbook matters; None for every other check."""
        return GateSeverity(self.subject) if self.kind == CheckKind.CONDITION else None

    @property
    def cell(self) -> Cell:
        return Cell(self.format, self.backend, self.modality, self.quantization)
