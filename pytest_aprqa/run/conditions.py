"""Judge the conditions of a playbook on what its run has found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_aprqa.judge.judgement import inconclusive
from pytest_aprqa.playbook.check import Check
from pytest_aprqa.run.observed import Observed
from pytest_aprqa.verdict.conditions import CONDITION, hold_against
from pytest_aprqa.verdict.journal import read_journal

if TYPE_CHECKING:
    from pytest_aprqa.run.laboratory import Laboratory


def run(check: Check, laboratory: Laboratory) -> Observed:
    """Hold a condition against the journal of this run."""
    journal = read_journal(laboratory.journal)
    if journal.header is None:
        return Observed(inconclusive("the run has no journal to look at"))
    records = {record.check: record for record in journal.latest} | laboratory.closing
    text: str = check.params["condition"]
    held = hold_against(text, journal.header.plan, records.values())
    return Observed(held.judgement, observation={CONDITION: text, "figures": held.figures})
