"""Bar charts of a report: one bar for each format and backend."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pytest_aprqa.playbook.check import CheckKind
from pytest_aprqa.report.content import number
from pytest_aprqa.verdict.record import Run


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
