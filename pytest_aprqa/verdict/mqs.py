"""The Model Qualification Score: 0-1000 from the evidence of one run, by rules anyone can redo.

Points of a category are its maximum times corroborated / executed. Only planned categories
count and their sum is scaled to 1000; skipped and inconclusive checks neither pass nor fail.
Questions that an early stop spared count at the rate of their cell.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from fractions import Fraction

from pydantic import BaseModel, ConfigDict

from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.gateways import GatewayResult, gateways, times
from pytest_aprqa.verdict.plan import RunPlan
from pytest_aprqa.verdict.spared import extrapolated
from pytest_aprqa.words import Category, Gateway, Outcome

FULL_SCORE = 1000
MAXIMUM = {
    Category.QUAL: 200,
    Category.PERF: 150,
    Category.STAB: 200,
    Category.COMP: 150,
    Category.EDGE: 150,
    Category.REGR: 150,
}
CRASH_PENALTY = 20
TIMEOUT_PENALTY = 10
QUALIFIES = 70
PRODUCTION_READY = 90
"""Least normalised scores, on 0-100."""


class Grade(StrEnum):
    """A letter for the normalised score."""

    A_PLUS = "A+"
    A = "A"
    A_MINUS = "A-"
    B_PLUS = "B+"
    B = "B"
    B_MINUS = "B-"
    C_PLUS = "C+"
    C = "C"
    C_MINUS = "C-"
    D_PLUS = "D+"
    D = "D"
    D_MINUS = "D-"
    F = "F"

    @classmethod
    def of(cls, normalised: float) -> Grade:
        """Return the grade of a normalised score on 0-100."""
        for grade, least in zip(cls, _LEAST, strict=False):
            if normalised >= least:
                return grade
        return cls.F


_LEAST = (97, 93, 90, 87, 83, 80, 77, 73, 70, 67, 63, 60)


class Penalty(BaseModel):
    """Points taken off, and for what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str
    check: str = ""
    points: int


class CategoryScore(BaseModel):
    """One category: what was planned, what came to a verdict, and what it earned.

    Attributes:
        points: earned, out of `maximum`, before the sum is scaled to 1000; questions that an early
            stop spared are counted in at the rate of their cell.
        planned: checks in the plan; those that left no record are `not_run`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    category: Category
    points: float
    maximum: int
    planned: int
    corroborated: int
    executed: int
    skipped: int
    inconclusive: int
    not_run: int


class Mqs(BaseModel):
    """The score of one run.

    Attributes:
        raw: 0-1000, penalties taken off, rounded down; 0 when a gateway is falsified.
        measured: the same over only those categories in which something was executed; it tells
            a low score earned by failures from one that comes of what did not run.
        normalised: `100 * log10(1 + 9 * raw / 1000)`, rounded to two decimals.
        categories: the planned ones, in the order of the score.
        gateways: one result for each gateway.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    raw: int
    measured: int
    normalised: float
    grade: Grade
    categories: tuple[CategoryScore, ...]
    penalties: tuple[Penalty, ...]
    gateways: dict[Gateway, GatewayResult]

    @property
    def gateways_hold(self) -> bool:
        """Whether every gateway is corroborated."""
        return all(result.outcome.passes for result in self.gateways.values())

    @property
    def qualifies(self) -> bool:
        return self.gateways_hold and self.normalised >= QUALIFIES

    @property
    def is_production_ready(self) -> bool:
        return self.gateways_hold and self.normalised >= PRODUCTION_READY


def score_records(plan: RunPlan, records: Iterable[Evidence]) -> Mqs:
    """Return the score of the records of a plan.

    Raises:
        ValueError: a check has two records, or a record is of no planned check. Either way the
            records are not those of this plan.
    """
    kept = _of_plan(plan, records)
    of_category = {c: _records_of(c, plan, kept) for c in plan.planned_categories()}
    categories = tuple(_category(c, plan, records) for c, records in of_category.items())
    earned = {c: _earned(MAXIMUM[c], *extrapolated(records)) for c, records in of_category.items()}
    results = gateways(kept, plan)
    penalties = _penalties(kept, results.values())
    failed = any(result.outcome is Outcome.FALSIFIED for result in results.values())
    taken = sum(penalty.points for penalty in penalties)
    executed = [category.category for category in categories if category.executed]
    raw = 0 if failed else _points(earned, taken)
    exact = normalise(raw)
    return Mqs(
        raw=raw,
        measured=0 if failed else _points({c: earned[c] for c in executed}, taken),
        normalised=round(exact, 2),
        grade=Grade.of(exact),
        categories=categories,
        penalties=penalties,
        gateways=results,
    )


def normalise(raw: int) -> float:
    """Return a score of 0-1000 on 0-100, on the logarithmic scale of the MQS."""
    return 100 * math.log10(1 + 9 * raw / FULL_SCORE)


def _of_plan(plan: RunPlan, records: Iterable[Evidence]) -> list[Evidence]:
    planned = {check.check for check in plan.checks}
    kept = list(records)
    for name, count in Counter(record.check for record in kept).items():
        if name not in planned:
            raise ValueError(f"the check {name!r} has a record but is not in the plan")
        if count > 1:
            raise ValueError(f"the check {name!r} has {count} records; it may have one")
    return kept


def _records_of(category: Category, plan: RunPlan, records: Sequence[Evidence]) -> list[Evidence]:
    planned = {check.check for check in plan.checks if check.category is category}
    return [record for record in records if record.check in planned]


def _category(category: Category, plan: RunPlan, records: Sequence[Evidence]) -> CategoryScore:
    planned = sum(check.category is category for check in plan.checks)
    outcomes = Counter(record.outcome for record in records)
    corroborated = outcomes[Outcome.CORROBORATED]
    executed = sum(count for outcome, count in outcomes.items() if outcome.executed)
    return CategoryScore(
        category=category,
        points=float(_earned(MAXIMUM[category], *extrapolated(records))),
        maximum=MAXIMUM[category],
        planned=planned,
        corroborated=corroborated,
        executed=executed,
        skipped=outcomes[Outcome.SKIPPED],
        inconclusive=outcomes[Outcome.INCONCLUSIVE],
        not_run=planned - outcomes.total(),
    )


def _earned(maximum: int, corroborated: Fraction, executed: int) -> Fraction:
    return maximum * corroborated / executed if executed else Fraction(0)


def _points(earned: Mapping[Category, Fraction], penalty: int) -> int:
    """Scale to 1000, take the penalties off and round down: a limit is never reached by rounding."""
    maximum = sum(MAXIMUM[category] for category in earned)
    if not maximum:
        return 0
    total = sum(earned.values(), start=Fraction(0))
    return max(0, math.floor(total * FULL_SCORE / maximum - penalty))


def _penalties(
    records: Iterable[Evidence], results: Iterable[GatewayResult]
) -> tuple[Penalty, ...]:
    found = []
    for record in records:
        if count := times(record, {Outcome.CRASHED}):
            found.append(_penalty("crash", count, CRASH_PENALTY, record.check))
        if count := times(record, {Outcome.TIMEOUT}):
            found.append(_penalty("timeout", count, TIMEOUT_PENALTY, record.check))
    for result in results:
        if result.outcome is Outcome.FALSIFIED:
            reason = f"gateway {result.gateway} falsified"
            found.append(Penalty(reason=reason, check=result.check, points=FULL_SCORE))
    return tuple(found)


def _penalty(what: str, count: int, points: int, check: str) -> Penalty:
    times = "" if count == 1 else f" ({count} times)"
    return Penalty(reason=f"{what}{times}", check=check, points=points * count)
