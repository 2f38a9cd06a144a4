"""The conditions of a playbook, held against the records of a run: now, or by anyone later."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pytest_aprqa.judge.condition import Finding, Value, judge_condition
from pytest_aprqa.judge.judgement import Judgement, inconclusive
from pytest_aprqa.judge.statistics import Interval
from pytest_aprqa.playbook.bindings import bindings
from pytest_aprqa.playbook.check import CheckKind
from pytest_aprqa.playbook.condition import parse_condition
from pytest_aprqa.playbook.figures import Figure
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.figures import Figures
from pytest_aprqa.verdict.plan import RunPlan

CONDITION = "condition"
"""Key of the observation that holds a condition's text."""


@dataclass(frozen=True, slots=True)
class Held:
    """What became of a condition.

    Attributes:
        figures: what was looked at, by name: a truth, the ends of an interval, or None.
    """

    judgement: Judgement
    figures: dict[str, list[float] | bool | None]


def hold_against(text: str, plan: RunPlan, records: Iterable[Evidence]) -> Held:
    """Judge a condition on what a run has found.

    Raises:
        ValueError: it is no condition on a run of this plan.
    """
    quantizations = {check.quantization for check in plan.checks if check.quantization}
    condition = parse_condition(text, quantizations)
    figures = Figures(plan, records)
    cases = [
        {named: Finding(one, _value(figures, one)) for named, one in binding.items()}
        for binding in bindings(condition, plan.checks)
    ]
    if not cases:
        return Held(inconclusive(f"nothing that was planned measures what `{text}` names"), {})
    found = [finding for case in cases for finding in case.values()]
    told = {str(finding.figure): _told(finding.value) for finding in found}
    return Held(judge_condition(text, condition, cases), told)


def misjudged(plan: RunPlan, records: Iterable[Evidence]) -> str | None:
    """Return what a record of a condition says otherwise than the records it rests on, or None."""
    kept = list(records)
    for record in kept:
        text = record.observation.get(CONDITION)
        if record.kind != CheckKind.CONDITION or not isinstance(text, str):
            continue
        try:
            outcome = hold_against(text, plan, kept).judgement.outcome
        except ValueError as error:
            return f"{record.check}: {error}"
        if outcome is not record.outcome:
            return f"{record.check} is {record.outcome}, the other records make it {outcome}"
    return None


def _value(figures: Figures, figure: Figure) -> Value:
    found = figures.value(figure)
    return Interval(*found) if isinstance(found, tuple) else found


def _told(value: Value) -> list[float] | bool | None:
    return [value.low, value.high] if isinstance(value, Interval) else value
