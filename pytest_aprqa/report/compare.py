"""A run beside an earlier one of the same model: verdict, score, speed, and answers that flipped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_aprqa.report.content import measurements
from pytest_aprqa.report.visible import one_line
from pytest_aprqa.verdict.record import Run
from pytest_aprqa.words import Category


@dataclass(frozen=True, slots=True)
class Change:
    """One value then and now; `worse` is None where neither is the better one."""

    name: str
    then: str
    now: str
    worse: bool | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What has changed.

    Attributes:
        then: when the earlier run was finished.
        verdict: status, score and the points of each category.
        speed: measurements of cells that both runs have.
        flips: checks whose outcome is another one.
    """

    then: str
    verdict: tuple[Change, ...]
    speed: tuple[Change, ...]
    flips: tuple[Change, ...]


def compare(run: Run, earlier: Run) -> Comparison:
    """Return a run beside an earlier one."""
    return Comparison(
        then=one_line(earlier.finished),
        verdict=tuple(_verdict(run, earlier)),
        speed=tuple(_speed(run, earlier)),
        flips=tuple(_flips(run, earlier)),
    )


def _verdict(run: Run, earlier: Run) -> Iterator[Change]:
    now, then = run.certificate, earlier.certificate
    yield Change("status", then.status.value, now.status.value)
    yield Change("MQS", str(then.score), str(now.score), now.score < then.score)
    points = [{c.category: c.points for c in one.mqs.categories} for one in (earlier, run)]
    for category in Category:
        before, after = (one.get(category) for one in points)
        if before is not None and after is not None:
            yield Change(category.value, f"{before:.0f}", f"{after:.0f}", after < before)


def _speed(run: Run, earlier: Run) -> Iterator[Change]:
    """Yield measurements of both runs. Which is the worse depends on noise, which REGR judges."""
    before = {
        (cell, name): value
        for found in [measurements(earlier)]
        for cell, values in found.rows
        for name, value in zip(found.names, values, strict=True)
    }
    found = measurements(run)
    for cell, values in found.rows:
        for name, value in zip(found.names, values, strict=True):
            if value and (then := before.get((cell, name))):
                yield Change(f"{cell} {name}", then, value)


def _flips(run: Run, earlier: Run) -> Iterator[Change]:
    before = {record.check: record.outcome for record in earlier.records}
    for record in run.records:
        then = before.get(record.check)
        if then is not None and then is not record.outcome:
            worse = record.outcome.fails if record.outcome.fails or then.fails else None
            yield Change(one_line(record.check), then.value, record.outcome.value, worse)
