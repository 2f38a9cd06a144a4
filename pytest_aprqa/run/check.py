"""Run one check. Pytest, the command line and a fleet all call `run_check`."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pytest_aprqa.artifact.model import ArtifactError
from pytest_aprqa.engine.protocol import EngineError, Fault
from pytest_aprqa.playbook.check import Check, CheckKind
from pytest_aprqa.run import (
    conditions,
    gateways,
    invariants,
    parity,
    performance,
    property_tests,
    regression,
    scenario,
    stability,
)
from pytest_aprqa.run.answers import BatchError
from pytest_aprqa.run.blank import not_run
from pytest_aprqa.run.faults import verdict_of
from pytest_aprqa.run.observed import BlockedError, Observed
from pytest_aprqa.verdict.certificate import SERVER
from pytest_aprqa.verdict.evidence import Attempt, Evidence
from pytest_aprqa.words import Attribution, Outcome

if TYPE_CHECKING:
    from pytest_aprqa.run.laboratory import Laboratory

Procedure = Callable[[Check, "Laboratory"], Observed]

PROCEDURES: dict[CheckKind, Procedure] = {
    CheckKind.GATEWAY: gateways.run,
    CheckKind.SCENARIO: scenario.run,
    CheckKind.PROPERTY: property_tests.run,
    CheckKind.PERFORMANCE: performance.run,
    CheckKind.STABILITY: stability.run,
    CheckKind.PARITY: parity.run,
    CheckKind.INVARIANT: invariants.run,
    CheckKind.REGRESSION: regression.run,
    CheckKind.CONDITION: conditions.run,
}


def run_check(check: Check, laboratory: Laboratory) -> Evidence:
    """Carry a check out. Every ending short of the death of this process is evidence."""
    if check.kind is CheckKind.GATEWAY and (known := laboratory.gateway_evidence(check)):
        return known
    spared = laboratory.early_stop.spared(check)
    with laboratory.testing(check.cell):
        evidence = spared or _run(check, laboratory)
    laboratory.answers.forget(check)
    if spared is None:
        laboratory.early_stop.observe(check, evidence)
    if check.kind is CheckKind.GATEWAY:
        laboratory.remember_gateway(check, evidence)
    return evidence


def _run(check: Check, laboratory: Laboratory) -> Evidence:
    started = datetime.now(UTC).isoformat(timespec="milliseconds")
    begun = time.perf_counter()
    if reason := laboratory.unavailable(check):
        return not_run(check, Outcome.SKIPPED, reason, Attribution.ENVIRONMENT)
    try:
        laboratory.require(check.needs, check.cell)
        slot = laboratory.results.slot(check)
        if known := slot.find():
            return known
        laboratory.expect_engine(check.cell)
        evidence = _timed(_attempt(check, laboratory), started, begun)
        slot.keep(evidence)
        return evidence
    except BlockedError as blocked:
        return _timed(not_run(check, Outcome.SKIPPED, str(blocked)), started, begun)


def _timed(evidence: Evidence, started: str, begun: float) -> Evidence:
    seconds = round(time.perf_counter() - begun, 4)
    return evidence.model_copy(update={"started": started, "seconds": seconds})


def _attempt(check: Check, laboratory: Laboratory) -> Evidence:
    """Try a check; after a crash, a hang, or what only a batch met, once more; both tries are kept."""
    attempts: list[Attempt] = []
    while True:
        begun = time.perf_counter()
        try:
            observed = PROCEDURES[check.kind](check, laboratory)
            if change := laboratory.change():
                raise change
        except (EngineError, ArtifactError) as caught:
            error = laboratory.change() or caught
            attempts.append(_failed_attempt(error, check, laboratory, begun))
            if _is_tried_again(error) and len(attempts) == 1:
                continue
            return _faulted(check, error, attempts, laboratory)
        attempts.append(
            Attempt(
                outcome=observed.judgement.outcome,
                reason=observed.judgement.reason,
                seconds=round(time.perf_counter() - begun, 4),
            )
        )
        return _judged(check, observed, attempts)


def _is_tried_again(error: EngineError | ArtifactError) -> bool:
    if isinstance(error, BatchError):
        return True
    return isinstance(error, EngineError) and error.fault in (Fault.CRASH, Fault.TIMEOUT)


def _failed_attempt(
    error: EngineError | ArtifactError, check: Check, laboratory: Laboratory, begun: float
) -> Attempt:
    outcome, _ = verdict_of(error, converted=laboratory.is_converted(check.cell))
    return Attempt(
        outcome=outcome,
        reason=error.message,
        seconds=round(time.perf_counter() - begun, 4),
        signal=getattr(error, "signal", ""),
        stderr=getattr(error, "stderr", ""),
    )


def _faulted(
    check: Check,
    error: EngineError | ArtifactError,
    attempts: list[Attempt],
    laboratory: Laboratory,
) -> Evidence:
    outcome, attribution = verdict_of(error, converted=laboratory.is_converted(check.cell))
    # A crash weighs more than a hang, and either more than what became of the second try.
    met = {attempt.outcome for attempt in attempts}
    outcome = next((o for o in (Outcome.CRASHED, Outcome.TIMEOUT) if o in met), outcome)
    record = not_run(check, outcome, error.message)
    server = {SERVER: laboratory.answering(check)} if laboratory.asks_named_server(check) else {}
    return record.model_copy(
        update={
            "attribution": attribution,
            "attempts": tuple(attempts),
            "observation": {"fault": error.fault, **server},
            "artifact_digest": laboratory.digest(check.cell),
        }
    )


def _judged(check: Check, observed: Observed, attempts: list[Attempt]) -> Evidence:
    judgement = observed.judgement
    outcome, reason, attribution = judgement.outcome, judgement.reason, judgement.attribution
    flaky = attempts[0].outcome in (Outcome.CRASHED, Outcome.TIMEOUT)
    if flaky:
        outcome, attribution = attempts[0].outcome, Attribution.ENGINE
        reason = f"{attempts[0].reason} (once; a fresh engine did not repeat it)"
    return not_run(check, outcome, reason).model_copy(
        update={
            "attribution": attribution,
            "compared": dict(judgement.compared),
            "prompt": observed.prompt,
            "answer": observed.answer,
            "expected": judgement.expected,
            "raw": observed.raw,
            "metrics": {**judgement.metrics, **observed.metrics},
            "observation": observed.observation,
            "attempts": tuple(attempts),
            "flaky": flaky,
            "engine": observed.engine,
            "artifact_digest": observed.artifact_digest,
        }
    )
