"""Runs that end in a given way, and a registry with rows of others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_aprqa.playbook.check import CheckKind
from pytest_aprqa.registry.row import COLUMNS
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.plan import PlannedCheck, RunPlan
from pytest_aprqa.verdict.record import Environment, Run, conclude
from pytest_aprqa.words import Backend, Category, Format, Gateway, Outcome, Tier

HEADER = ",".join(COLUMNS)
OTHERS = (
    "org/small,small,1B,small,PENDING,0,-,none,,false,false,false,false,,,,,,,false",
    'org/odd,"a, b",?,gigantic,WITHDRAWN,nine,A++,gold,yesterday,TRUE,no,,2,x,,,,,,maybe',
    "org/last,last,7B,medium,CERTIFIED,900,A,deep,2026-01-01,true,true,true,true,1,2,3,4,5,6,true",
)


def ended(
    *,
    model: str = "org/small",
    tier: Tier = Tier.MVP,
    passed: int = 10,
    failed: int = 0,
    skipped: int = 0,
    parameters: int | None = None,
    failure: str = "",
    rates: dict[tuple[Format, Backend], tuple[float, ...]] | None = None,
    **gateways: Outcome,
) -> Run:
    """Return a run with so many QUAL checks of each ending; gateways hold unless told otherwise."""
    ends = [*[Outcome.CORROBORATED] * passed, *[Outcome.FALSIFIED] * failed]
    ends += [Outcome.SKIPPED] * skipped
    told: list[tuple[PlannedCheck, Outcome, dict[str, float]]] = [
        (_gateway(gateway), gateways.get(gateway, Outcome.CORROBORATED), {}) for gateway in Gateway
    ]
    told += [(_scenario(number), outcome, {}) for number, outcome in enumerate(ends)]
    for (format, backend), measured in (rates or {}).items():
        for number, rate in enumerate(measured):
            metrics = {"decode_tokens_per_second": rate}
            told.append((_rate(format, backend, number), Outcome.CORROBORATED, metrics))
    plan = RunPlan(
        playbook="small.playbook.yaml",
        model_id=model,
        family="small",
        parameters=parameters,
        tier=tier,
        threshold=700,
        checks=tuple(check for check, _, _ in told),
    )
    return conclude(
        run_id="run-1",
        started="2026-02-03T04:05:06+00:00",
        finished="2026-02-03T04:15:06+00:00",
        plan=plan,
        records=[_record(*each) for each in told],
        environment=Environment(),
        failure=failure,
    )


def _gateway(gateway: Gateway) -> PlannedCheck:
    return PlannedCheck(
        check=gateway,
        gate_id=gateway,
        kind=CheckKind.GATEWAY,
        subject=gateway,
        format=Format.GGUF,
        backend=Backend.CPU,
    )


def _scenario(number: int) -> PlannedCheck:
    return PlannedCheck(
        check=f"q{number}", gate_id="F-QUAL", kind=CheckKind.SCENARIO, category=Category.QUAL
    )


def _rate(format: Format, backend: Backend, number: int) -> PlannedCheck:
    return PlannedCheck(
        check=f"rate{number}[{format}-{backend}]",
        gate_id="F-PERF",
        kind=CheckKind.PERFORMANCE,
        category=Category.PERF,
        format=format,
        backend=backend,
    )


def _record(check: PlannedCheck, outcome: Outcome, metrics: dict[str, float]) -> Evidence:
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
        metrics=metrics,
    )


@pytest.fixture(scope="session")
def run_with() -> Callable[..., Run]:
    return ended


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    path = tmp_path / "models.csv"
    path.write_bytes("\n".join([HEADER, *OTHERS, ""]).encode())
    return path
