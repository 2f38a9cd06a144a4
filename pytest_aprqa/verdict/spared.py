"""Questions that an early stop spared: what they count for, though they were not asked."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from fractions import Fraction

from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.words import Cell

SPARED = "early_stop"
"""Key of the observation in the record of a spared question."""


def is_spared(record: Evidence) -> bool:
    """Whether a check was left out because its cell's verdict was certain."""
    return SPARED in record.observation


def extrapolated(records: Iterable[Evidence]) -> tuple[Fraction, int]:
    """Return how many of how many checks count as passed: spared ones at the rate of their cell.

    Without that a cell that stopped early would weigh less than one that was asked everything, and
    a bad cell would hide behind good ones.
    """
    passed: Counter[Cell] = Counter()
    executed: Counter[Cell] = Counter()
    spared: defaultdict[Cell, int] = defaultdict(int)
    for record in records:
        cell = record.cell
        passed[cell] += record.outcome.passes
        executed[cell] += record.outcome.executed
        spared[cell] += is_spared(record)
    share = Fraction(0)
    total = 0
    for cell, count in executed.items():
        if count:
            whole = count + spared[cell]
            share += Fraction(passed[cell] * whole, count)
            total += whole
    return share, total
