"""Charts of a report: plain numbers in, coordinates of an SVG out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_aprqa.judge.kl import KL_NATS
from pytest_aprqa.playbook.check import CheckKind
from pytest_aprqa.report.content import number
from pytest_aprqa.report.visible import one_line
from pytest_aprqa.verdict.record import Run

WIDTH, HEIGHT = 640, 120
LEAST_NATS = 1e-6
"""Below it two distributions are the same for every purpose; the bottom of the logarithmic axis."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Values along the positions of a text.

    Attributes:
        name: of the check they come from.
        points: of a polyline in a box of WIDTH x HEIGHT, zero above.
        top, bottom: values at the upper and the lower edge; the axis between is logarithmic.
        mean, maximum: of the values.
    """

    name: str
    points: str
    top: float
    bottom: float
    mean: float
    maximum: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One measured value of a format and backend.

    Attributes:
        share: of the largest value of its chart, 0-1.
    """

    cell: str
    text: str
    share: float


MEASURED = {
    "decode_tokens_per_second": "Decoded tokens a second",
    "time_to_first_token_seconds": "Seconds to the first token",
    "load_seconds": "Seconds to load",
    "peak_memory_mebibytes": "MiB of memory",
}
"""What is worth a chart, by metric."""


def bars(run: Run) -> list[tuple[str, list[Bar]]]:
    """Return a bar chart for each measurement: its title, and a bar for each format and backend."""
    charts = []
    for metric, title in MEASURED.items():
        values = {
            str(record.cell.engine): record.metrics[metric]
            for record in run.records
            if record.kind == CheckKind.PERFORMANCE and _is_positive(record.metrics.get(metric))
        }
        if values:
            top = max(values.values())
            charts.append((title, [Bar(c, number(v), v / top) for c, v in values.items()]))
    return charts


def _is_positive(value: float | None) -> bool:
    return value is not None and 0 < value < math.inf


def fidelity(run: Run) -> list[Curve]:
    """Return the KL divergence from the reference by position, of each conversion that has it."""
    found = []
    for record in run.records:
        values = record.observation.get(KL_NATS)
        if record.kind == CheckKind.INVARIANT and isinstance(values, list) and len(values) > 1:
            numbers = [float(value) for value in values if isinstance(value, int | float)]
            if len(numbers) == len(values) and all(map(math.isfinite, numbers)):
                found.append(_curve(one_line(record.check), numbers))
    return found


def _curve(name: str, values: Sequence[float]) -> Curve:
    top = max(10 * LEAST_NATS, *values)
    scale = math.log(top / LEAST_NATS)
    step = WIDTH / (len(values) - 1)
    points = (
        f"{place * step:.1f},{HEIGHT * (1 - math.log(max(value, LEAST_NATS) / LEAST_NATS) / scale):.1f}"
        for place, value in enumerate(values)
    )
    return Curve(name, " ".join(points), top, LEAST_NATS, sum(values) / len(values), max(values))
