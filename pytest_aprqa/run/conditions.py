"""Judge the conditions of a playbook on what its run has found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pytest_aprqa.judge.condition import Case, Finding, Value, judge_condition
from pytest_aprqa.judge.judgement import inconclusive
from pytest_aprqa.judge.statistics import Interval
from pytest_aprqa.playbook.bindings import bindings
from pytest_aprqa.playbook.check import Check
from pytest_aprqa.playbook.condition import parse_condition
from pytest_aprqa.playbook.figures import Figure
from pytest_aprqa.playbook.quantizations import several
from pytest_aprqa.run.observed import Observed
from pytest_aprqa.verdict.figures import Figures
from pytest_aprqa.verdict.journal import read_journal

if TYPE_CHECKING:
    from pytest_aprqa.run.laboratory import Laboratory


def run(check: Check, laboratory: Laboratory) -> Observed:
    """Hold a condition against the journal of this run."""
    text: str = check.params["condition"]
    condition = parse_condition(text, several(laboratory.plan.model))
    journal = read_journal(laboratory.journal)
    if journal.header is None:
        return Observed(inconclusive("the run has no journal to look at"))
    plan = journal.header.plan
    records = {record.check: record for record in journal.latest} | laboratory.closing
    figures = Figures(plan, records.values())
    cases = [
        {named: Finding(one, _value(figures, one)) for named, one in binding.items()}
        for binding in bindings(condition, plan.checks)
    ]
    if not cases:
        return Observed(inconclusive(f"nothing that was planned measures what `{text}` names"))
    return Observed(
        judge_condition(text, condition, cases),
        observation={"condition": text, "figures": _told(cases)},
    )


def _value(figures: Figures, figure: Figure) -> Value:
    found = figures.value(figure)
    return Interval(*found) if isinstance(found, tuple) else found


def _told(cases: Sequence[Case]) -> dict[str, Any]:
    """Return what was looked at, by name: a truth, or the ends of an interval."""
    told: dict[str, Any] = {}
    for finding in (finding for case in cases for finding in case.values()):
        value = finding.value
        told[str(finding.figure)] = (
            [value.low, value.high] if isinstance(value, Interval) else value
        )
    return told
