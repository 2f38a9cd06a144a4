"""A run with something of everything in it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_aprqa.playbook.check import CheckKind
from pytest_aprqa.verdict.evidence import Attempt, Evidence
from pytest_aprqa.verdict.plan import PlannedCheck, RunPlan
from pytest_aprqa.verdict.record import ArtifactRecord, Environment, Run, conclude
from pytest_aprqa.words import Backend, Category, Format, Gateway, Modality, Outcome, Tier

PASSED, FAILED = Outcome.CORROBORATED, Outcome.FALSIFIED
ANSWERS = {Format.SAFETENSORS: "Four.", Format.APR: "4", Format.GGUF: "olumbia+lsi nunca"}


def make_run(
    *,
    gguf: Outcome = FAILED,
    text: str = "",
    interrupted: bool = False,
    failure: str = "",
) -> Run:
    """Return a run of 2 formats x 2 backends x 2 modalities without a GPU.

    The GGUF cells end as told; `text` goes into every field that can hold text of unknown origin.
    """
    checks, records = [], []
    for check, outcome in _checks(gguf):
        checks.append(check)
        if outcome is not None:
            records.append(_record(check, outcome, text))
    plan = RunPlan(
        playbook="tiny-mvp.playbook.yaml",
        model_id="org/tiny",
        family="tiny",
        tier=Tier.MVP,
        threshold=700,
        checks=tuple(checks),
    )
    return conclude(
        run_id="run-1" + text,
        started="2026-01-02T03:04:05+00:00",
        finished="2026-01-02T03:05:05+00:00",
        plan=plan,
        records=records,
        environment=Environment(
            python="3.11.7",
            cpu="A processor" + text,
            cores=2,
            memory=24 * 1024**3,
            packages={"torch": "2.13" + text},
            engines=("llama.cpp" + text,),
        ),
        artifacts={
            Format.SAFETENSORS: ArtifactRecord(
                digest="1" * 64, files={"model.safetensors" + text: "2" * 64}, source="hub" + text
            ),
            Format.GGUF: ArtifactRecord(digest="3" * 64, converted_from="1" * 64),
        },
        interrupted=interrupted,
        failure=failure,
    )


def _checks(gguf: Outcome) -> list[tuple[PlannedCheck, Outcome | None]]:
    found: list[tuple[PlannedCheck, Outcome | None]] = [
        (_planned(gateway, CheckKind.GATEWAY, subject=gateway, backend=Backend.CPU), PASSED)
        for gateway in Gateway
    ]
    for format in (Format.SAFETENSORS, Format.GGUF):
        for backend in Backend:
            ends = Outcome.SKIPPED if backend is Backend.GPU else PASSED
            if format is Format.GGUF and ends is PASSED:
                ends = gguf
            cell = {"format": format, "backend": backend}
            for modality in (Modality.RUN, Modality.CHAT):
                name = f"sum[{format}-{backend}-{modality}]"
                asked = {"modality": modality, "prompt_digest": "sum", "category": Category.QUAL}
                found.append((_planned(name, CheckKind.SCENARIO, **cell, **asked), ends))
            rate = f"rate[{format}-{backend}]"
            perf = {"category": Category.PERF, "subject": "decode-rate"}
            ends = PASSED if backend is Backend.CPU else None
            found.append((_planned(rate, CheckKind.PERFORMANCE, **cell, **perf), ends))
    found.append((_planned("I-2", CheckKind.INVARIANT, category=Category.COMP), PASSED))
    found.append((_planned("long", CheckKind.STABILITY, category=Category.STAB), Outcome.TIMEOUT))
    return found


def _planned(name: str, kind: CheckKind, **more: object) -> PlannedCheck:
    return PlannedCheck.model_validate(
        {"check": name, "gate_id": "F-SUM-001", "kind": kind, **more}
    )


def _record(check: PlannedCheck, outcome: Outcome, text: str) -> Evidence:
    speed = {"decode_tokens_per_second": 41.5, "load_seconds": 0.25}
    gpu = check.backend is Backend.GPU
    return Evidence(
        check=check.check,
        gate_id=check.gate_id,
        kind=check.kind,
        subject=check.subject,
        category=check.category,
        format=check.format,
        backend=check.backend,
        modality=check.modality,
        outcome=outcome,
        reason=("no GPU: CUDA is not available" if gpu else f"seen in {check.check}") + text,
        compared={"prompts": 1},
        prompt="What is 2+2?" + text if check.modality else None,
        answer=ANSWERS[check.format] + text if check.modality and check.format else None,
        expected="the number 4" + text,
        metrics=speed if check.kind is CheckKind.PERFORMANCE else {},
        attempts=(Attempt(outcome=outcome, stderr="loading" + text),),
        engine="llama.cpp" + text,
    )


@pytest.fixture(scope="session")
def run_with() -> Callable[..., Run]:
    return make_run
