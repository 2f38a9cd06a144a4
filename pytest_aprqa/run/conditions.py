"""Judge the conditions of a playbook on what its run has found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_aprqa.judge.judgement import inconclusive
from pytest_aprqa.playbook.check import Check
from pytest_aprqa.run.observed import Observed
from pytest_aprqa.run.so_far import so_far
from pytest_aprqa.verdict.conditions import CONDITION, hold_against

if TYPE_CHECKING:
    from pytest_aprqa.run.laboratory import Laboratory


def run(check: Check, laboratory: Laboratory) -> Observed:
    """Hold a condition against what this run has found so far."""
    found = so_far(laboratory)
    if found is None:
        return Observed(inconclusive("the run has no journal to look at"))
    text: str = check.params["condition"]
    held = hold_against(text, found.plan, found.records)
    return Observed(held.judgement, observation={CONDITION: text, "figures": held.figures})
