"""The gateways over all cells: what went wrong first, if anything did."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from pydantic import BaseModel, ConfigDict

from pytest_aprqa.playbook.check import CheckKind
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.plan import PlannedCheck, RunPlan
from pytest_aprqa.words import Attribution, Backend, Gateway, Outcome

CRASH_FAILS = frozenset({Gateway.G1, Gateway.G2})
"""Gateways for which a crash or a hang is an answer; in the others it leaves the question open."""

STOPPED = frozenset({Outcome.CRASHED, Outcome.TIMEOUT})
"""Outcomes of a check whose engine stopped answering."""

_AGAIN = {Outcome.CRASHED: "crashed again", Outcome.TIMEOUT: "hung again"}


class GatewayResult(BaseModel):
    """One gateway over all the cells it was planned for.

    Attributes:
        outcome: CORROBORATED, FALSIFIED or INCONCLUSIVE.
        reason: the first thing that went wrong or stayed open, with the check it was seen in.
        check: name of that check, or "".
        planned, held: checks that were planned, and those that were corroborated.
        unavailable: checks this machine cannot make (no GPU). They are no failure, and no pass.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    gateway: Gateway
    outcome: Outcome
    reason: str = ""
    check: str = ""
    planned: int = 0
    held: int = 0
    unavailable: int = 0

    @property
    def complete(self) -> bool:
        """Whether every planned check of the gateway came to a verdict that it holds."""
        return self.outcome.passes and self.held == self.planned


def gateways(records: Iterable[Evidence], plan: RunPlan) -> dict[Gateway, GatewayResult]:
    """Return what the records say about each gateway."""
    by_check = {record.check: record for record in records}
    return {
        gateway: _stability(by_check, plan)
        if gateway is Gateway.G3
        else _over_cells(gateway, by_check, plan)
        for gateway in Gateway
    }


def settled(record: Evidence) -> Outcome:
    """Return how a check ended once a crash or hang that did not repeat is set aside."""
    return record.attempts[-1].outcome if record.flaky and record.attempts else record.outcome


def _falsifies(gateway: Gateway, record: Evidence) -> bool:
    outcome = settled(record)
    return outcome is Outcome.FALSIFIED or (outcome.fails and gateway in CRASH_FAILS)


def _over_cells(gateway: Gateway, by_check: Mapping[str, Evidence], plan: RunPlan) -> GatewayResult:
    planned = [check for check in plan.checks if check.gateway is gateway]
    falsified = open_question = None
    held = unavailable = 0
    for check in planned:
        record = by_check.get(check.check)
        if record is not None and settled(record).passes:
            held += 1
        elif record is not None and _falsifies(gateway, record):
            falsified = falsified or (check, record)
        elif record is not None and _cannot_run_here(record):
            unavailable += 1
        else:
            open_question = open_question or (check, record)
    outcome, reason, where = _verdict(gateway, falsified, open_question, planned, held)
    return GatewayResult(
        gateway=gateway,
        outcome=outcome,
        reason=reason,
        check=where,
        planned=len(planned),
        held=held,
        unavailable=unavailable,
    )


def _verdict(
    gateway: Gateway,
    falsified: tuple[PlannedCheck, Evidence] | None,
    open_question: tuple[PlannedCheck, Evidence | None] | None,
    planned: list[PlannedCheck],
    held: int,
) -> tuple[Outcome, str, str]:
    if falsified:
        return Outcome.FALSIFIED, _because(*falsified), falsified[0].check
    if open_question:
        return Outcome.INCONCLUSIVE, _because(*open_question), open_question[0].check
    if held:
        return Outcome.CORROBORATED, "", ""
    if planned:
        return Outcome.INCONCLUSIVE, f"{gateway} could be checked in no cell on this machine", ""
    return Outcome.INCONCLUSIVE, f"{gateway} is not in the plan", ""


def _because(check: PlannedCheck, record: Evidence | None) -> str:
    if record is None:
        return f"{check.check}: not run"
    return f"{check.check}: {record.reason or record.outcome}"


def _cannot_run_here(record: Evidence) -> bool:
    return record.outcome is Outcome.SKIPPED and (
        record.backend is Backend.GPU or record.attribution is Attribution.ENVIRONMENT
    )


def times(record: Evidence, outcomes: Collection[Outcome]) -> int:
    """Return how often a check came to one of the outcomes, over all of its attempts."""
    tries = sum(attempt.outcome in outcomes for attempt in record.attempts)
    return max(tries, int(record.outcome in outcomes))


def _stability(by_check: Mapping[str, Evidence], plan: RunPlan) -> GatewayResult:
    """G3 looks at every check of the run: a crash or hang fails it when it came back."""
    planned = [check for check in plan.checks if check.gateway is Gateway.G3]
    records = [by_check[check.check] for check in plan.checks if check.check in by_check]
    engine = [record for record in records if record.backend is not None]

    def result(outcome: Outcome, reason: str = "", check: str = "") -> GatewayResult:
        return GatewayResult(
            gateway=Gateway.G3,
            outcome=outcome,
            reason=reason,
            check=check,
            planned=max(1, len(planned)),
            held=max(1, len(planned)) if outcome.passes else 0,
        )

    for record in engine:
        if times(record, STOPPED) >= 2 and not record.flaky:
            again = _AGAIN[record.attempts[-1].outcome]
            reason = f"{record.check}: {again} in a fresh engine: {record.reason}"
            return result(Outcome.FALSIFIED, reason, record.check)
    for check in planned:
        own = by_check.get(check.check)
        if own is not None and own.outcome is Outcome.FALSIFIED:
            return result(Outcome.FALSIFIED, _because(check, own), check.check)
    for record in engine:
        if times(record, STOPPED) and not record.flaky:
            reason = f"{record.check}: {record.outcome} once and was not tried again"
            return result(Outcome.INCONCLUSIVE, reason, record.check)
    if not any(record.outcome.executed and _generates(record) for record in engine):
        return result(Outcome.INCONCLUSIVE, "no inference ran")
    return result(Outcome.CORROBORATED)


def _generates(record: Evidence) -> bool:
    return record.kind != CheckKind.GATEWAY or record.subject != Gateway.G1
