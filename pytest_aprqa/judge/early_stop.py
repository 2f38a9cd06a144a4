"""When enough answers of a cell are known: the sequential test that ends its questions early."""

from __future__ import annotations

from pytest_aprqa.judge.statistics import Sprt, SprtDecision
from pytest_aprqa.playbook.tiers import SEQUENTIAL, TIERS
from pytest_aprqa.words import Tier

ERROR = 0.05
"""Probability of either wrong decision."""


def sequential_test(tier: Tier) -> Sprt | None:
    """Return the test of a cell's pass rate before its first answer; None when a tier asks all.

    A bad cell earns what a run of the tier must have at least, a good one lies halfway between
    that and no failure at all: at standard 0.70 and 0.85, at deep 0.90 and 0.95.
    """
    if tier not in SEQUENTIAL:
        return None
    bad = TIERS[tier].threshold / 1000
    return Sprt(bad=bad, good=(1 + bad) / 2, alpha=ERROR, beta=ERROR)


def stop_reason(test: Sprt) -> str:
    """Return why a cell need not be asked any further, or an empty string."""
    asked = test.passes + test.failures
    shown = {
        SprtDecision.GOOD: f"above {test.bad:g}",
        SprtDecision.BAD: f"below {test.good:g}",
    }.get(test.decision)
    if shown is None:
        return ""
    return (
        f"early stop: {test.passes} of {asked} questions of this cell passed, "
        f"so its pass rate is {shown} with an error of {ERROR:.0%}"
    )
