"""Runs written as letters, one a check, so that a table shows what a rule is about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from pytest_aprqa.playbook.check import CheckKind
from pytest_aprqa.verdict.evidence import Attempt, Evidence
from pytest_aprqa.verdict.plan import PlannedCheck, RunPlan
from pytest_aprqa.verdict.spared import SPARED
from pytest_aprqa.words import (
    Attribution,
    Backend,
    Category,
    Format,
    GateSeverity,
    Gateway,
    Outcome,
    Tier,
)

C, F, X, T = Outcome.CORROBORATED, Outcome.FALSIFIED, Outcome.CRASHED, Outcome.TIMEOUT
LETTERS: dict[str, tuple[Outcome, tuple[Outcome, ...]]] = {
    "C": (C, (C,)),
    "F": (F, (F,)),
    "T": (T, (T, T)),  # hung, and again in a fresh engine
    "t": (T, (T,)),  # hung, not tried again
    "h": (T, (T, C)),  # hung once, then passed
    "S": (Outcome.SKIPPED, ()),
    "s": (Outcome.SKIPPED, ()),  # spared by an early stop
    "E": (Outcome.SKIPPED, ()),  # skipped for want of something in the environment
    "I": (Outcome.INCONCLUSIVE, (Outcome.INCONCLUSIVE,)),
    "X": (X, (X, X)),  # crashed, and again in a fresh engine
    "x": (X, (X,)),  # crashed, not tried again
    "y": (X, (X, C)),  # crashed once, then passed
}
NOT_RUN = "."
ALL_HOLD = dict.fromkeys(Gateway, "C")


@dataclass(frozen=True)
class Story:
    """A plan and what came of it."""

    plan: RunPlan
    records: tuple[Evidence, ...]


def tell(
    *,
    tier: Tier = Tier.MVP,
    threshold: int | None = None,
    planned_categories: tuple[Category, ...] = (),
    prompts: int | None = None,
    backend: Backend = Backend.CPU,
    **letters: str,
) -> Story:
    """Return a run; `QUAL="CCF"` has three QUAL checks, `P1="F"` a condition of that severity.

    Gateways hold unless told otherwise.
    """
    told = {**ALL_HOLD, **letters}
    checks, records = [], []
    for group, outcomes in told.items():
        for number, letter in enumerate(outcomes):
            check = _planned(group, number, prompts or len(outcomes), backend)
            checks.append(check)
            if letter != NOT_RUN:
                records.append(_record(check, letter))
    default = 900 if tier is Tier.DEEP else 700
    plan = RunPlan(
        playbook="tiny.playbook.yaml",
        model_id="org/tiny",
        family="tiny",
        tier=tier,
        threshold=threshold or default,
        checks=tuple(checks),
        categories=planned_categories,
    )
    return Story(plan, tuple(records))


def _planned(group: str, number: int, prompts: int, backend: Backend) -> PlannedCheck:
    gateway = group in set(Gateway)
    if group in set(GateSeverity):
        return PlannedCheck(
            check=f"{group}-{number}", gate_id=group, kind=CheckKind.CONDITION, subject=group
        )
    return PlannedCheck(
        check=f"{group}-{number}",
        gate_id=group,
        kind=CheckKind.GATEWAY if gateway else CheckKind.SCENARIO,
        subject=group if gateway else "",
        category=None if gateway else Category(group),
        format=Format.GGUF,
        backend=None if group in ("G0", "G3") else backend,
        prompt_digest="" if gateway else f"{group}{number % prompts}",
    )


def _record(check: PlannedCheck, letter: str) -> Evidence:
    outcome, attempts = LETTERS[letter]
    return Evidence(
        check=check.check,
        gate_id=check.gate_id,
        kind=check.kind,
        subject=check.subject,
        category=check.category,
        format=check.format,
        backend=check.backend,
        outcome=outcome,
        reason=f"because {check.check}",
        attribution=Attribution.ENVIRONMENT if letter == "E" else None,
        compared={"prompts": 1} if outcome is C else {},
        attempts=tuple(Attempt(outcome=attempt) for attempt in attempts),
        flaky=letter in ("y", "h"),
        observation={SPARED: {"decision": "good"}} if letter == "s" else {},
    )


@pytest.fixture(scope="session")
def story() -> Callable[..., Story]:
    return tell
