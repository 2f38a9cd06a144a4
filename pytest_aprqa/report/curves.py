"""Curves of a report, on a logarithmic axis: divergence by position, error by layer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_aprqa.judge.by_layer import ERROR_BY_LAYER
from pytest_aprqa.judge.fidelity import KL_BUDGET
from pytest_aprqa.judge.kl import KL_NATS, KL_WORST_TOKEN
from pytest_aprqa.playbook.check import CheckKind
from pytest_aprqa.report.content import number
from pytest_aprqa.report.visible import one_line
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.record import Run

WIDTH, HEIGHT = 640, 140
LEFT, RIGHT, ABOVE, BELOW = 60, 12, 12, 40
"""Room around the plot for ticks and labels."""

LEAST = 1e-6
"""Below it two distributions, or two tensors, are the same for every purpose."""

_TICKS = 6


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis, in the units of the picture, and what is written there."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Curve:
    """Values in a row, in a box of WIDTH x HEIGHT with zero above.

    Attributes:
        name: of the check they come from.
        points: of a polyline.
        top: value at the upper edge; LEAST is at the lower one.
        mean, maximum: of the values.
        worst: the place of the largest, and what it is, in words.
        across, up: ticks of the axes.
        budget: what the mean may be, if that is known.
        is_flat: every value is below LEAST, so there is nothing to draw.
    """

    name: str
    points: str
    top: float
    mean: float
    maximum: float
    worst: tuple[float, float, str]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    budget: Tick | None = None
    is_flat: bool = False


def by_position(run: Run) -> list[Curve]:
    """Return the KL divergence from the reference by position, of each conversion that has it."""
    return [
        _curve(
            record, values, 1, "position", "nats", _before(record), record.metrics.get(KL_BUDGET)
        )
        for record, values in _observed(run, KL_NATS)
    ]


def by_layer(run: Run) -> list[Curve]:
    """Return the largest relative error of a tensor by layer, of each conversion that has it."""
    return [
        _curve(record, values, 0, "layer", "relative error", "", None)
        for record, values in _observed(run, ERROR_BY_LAYER)
    ]


def _observed(run: Run, name: str) -> Iterator[tuple[Evidence, list[float]]]:
    """Yield the records that hold a row of two or more finite numbers by a name."""
    for record in run.records:
        values = record.observation.get(name)
        if record.kind == CheckKind.INVARIANT and isinstance(values, list) and len(values) > 1:
            numbers = [float(value) for value in values if isinstance(value, int | float)]
            if len(numbers) == len(values) and all(map(math.isfinite, numbers)):
                yield record, numbers


def _before(record: Evidence) -> str:
    token = record.observation.get(KL_WORST_TOKEN)
    return f", the token {one_line(repr(token))}" if isinstance(token, str) and token else ""


def _curve(
    record: Evidence,
    values: Sequence[float],
    first: int,
    what: str,
    unit: str,
    beside: str,
    budget: float | None,
) -> Curve:
    top = max(10 * LEAST, budget or 0.0, *values)
    scale, step = math.log(top / LEAST), WIDTH / (len(values) - 1)

    def height(value: float) -> float:
        return HEIGHT * (1 - math.log(max(value, LEAST) / LEAST) / scale)

    largest = max(values)
    worst = values.index(largest)
    words = f"largest {number(largest)} {unit} at {what} {worst + first}{beside}"
    decades = range(round(math.log10(LEAST)), math.floor(math.log10(top) + 1e-9) + 1)
    apart = _round_step(len(values) / _TICKS)
    start = -(-first // apart) * apart
    return Curve(
        one_line(record.check),
        " ".join(f"{at * step:.1f},{height(value):.1f}" for at, value in enumerate(values)),
        top,
        sum(values) / len(values),
        largest,
        (worst * step, height(largest), words),
        across=tuple(
            Tick((at - first) * step, str(at)) for at in range(start, first + len(values), apart)
        ),
        up=tuple(Tick(height(10.0**power), f"1e{power}" if power else "1") for power in decades),
        budget=Tick(height(budget), number(budget)) if budget and budget > LEAST else None,
        is_flat=largest < LEAST,
    )


def _round_step(least: float) -> int:
    """Return the smallest of 1, 2, 5, 10, 20, 50 ... that is not below a number."""
    power = 1
    while True:
        for step in (power, 2 * power, 5 * power):
            if step >= least:
                return step
        power *= 10
