"""What a run set out to do. The plan, not the outcome, decides what the score is made of."""

from __future__ import annotations

import hashlib
import json
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from pytest_aprqa.playbook.check import Check, CheckKind, Scenario
from pytest_aprqa.verdict.canonical import digest
from pytest_aprqa.verdict.evidence import Quantization
from pytest_aprqa.words import (
    Backend,
    Category,
    Cell,
    FailurePolicy,
    Format,
    Gateway,
    Modality,
    Tier,
)


class PlannedCheck(BaseModel):
    """A check as it was planned, without what is needed to carry it out.

    Attributes:
        check: name, unique in the plan; evidence refers to it.
        prompt_digest: sha256 of what is asked, the same in every cell; "" when nothing is asked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    check: str
    gate_id: str
    kind: CheckKind
    subject: str = ""
    category: Category | None = None
    format: Format | None = None
    backend: Backend | None = None
    modality: Modality | None = None
    quantization: Quantization = None
    prompt_digest: str = ""

    @classmethod
    def of(cls, check: Check) -> Self:
        """Return the plan entry of a check."""
        return cls(
            check=check.name,
            gate_id=check.gate_id,
            kind=check.kind,
            subject=check.subject,
            category=check.category,
            format=check.cell.format,
            backend=check.cell.backend,
            modality=check.cell.modality,
            quantization=check.cell.quantization,
            prompt_digest=prompt_digest(check.scenario) if check.scenario else "",
        )

    @property
    def cell(self) -> Cell:
        return Cell(self.format, self.backend, self.modality, self.quantization)

    @property
    def gateway(self) -> Gateway | None:
        """Return the gateway this check decides on, or None when it is no gateway check."""
        return Gateway(self.subject) if self.kind is CheckKind.GATEWAY else None


def prompt_digest(scenario: Scenario) -> str:
    """Return the identity of what a scenario asks: its conversation, not its decoding."""
    turns = [[turn.role, turn.content] for turn in scenario.history]
    asked = json.dumps([scenario.system, turns, scenario.prompt])
    return hashlib.sha256(asked.encode("ascii")).hexdigest()


class RunPlan(BaseModel):
    """What a run set out to do.

    Attributes:
        playbook: file name of the playbook.
        playbook_digest: sha256 of its bytes.
        model_id: Hugging Face id, the model's identity in the registry.
        parameters: parameter count of the model, when known.
        threshold: the least MQS (0-1000) with which the run ends well.
        categories: categories the tier plans, with or without checks that can run here.
        cpu_only: GPU cells were taken out of the plan.
        seed: of samplers and of generated prompts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    playbook: str
    playbook_digest: str = ""
    model_id: str
    family: str = ""
    parameters: int | None = None
    tier: Tier
    threshold: int = Field(ge=0, le=1000)
    checks: tuple[PlannedCheck, ...] = ()
    categories: tuple[Category, ...] = ()
    cpu_only: bool = False
    failure_policy: FailurePolicy = FailurePolicy.STOP_ON_P0
    seed: int = 42

    @field_validator("categories")
    @classmethod
    def _in_order(cls, categories: tuple[Category, ...]) -> tuple[Category, ...]:
        """Equal plans have equal digests, in whatever order their categories came."""
        return tuple(category for category in Category if category in categories)

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [planned.check for planned in self.checks]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"the check {twice!r} is planned twice")
        return self

    def digest(self) -> str:
        """Return the sha256 of the plan."""
        return digest(self)

    def planned_categories(self) -> tuple[Category, ...]:
        """Return every category in the plan, in the order of the score."""
        planned = {*self.categories, *(c.category for c in self.checks if c.category)}
        return tuple(category for category in Category if category in planned)
