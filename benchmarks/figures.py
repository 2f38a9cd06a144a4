"""What a benchmark found, printed and kept: figures, their table, and the machine they are from."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pytest_aprqa.run.environment import environment_of


@dataclass(frozen=True)
class Report:
    """One run of one benchmark.

    Attributes:
        title: what was measured.
        figures: every number, as plain JSON.
        table: the same for people, as lines of Markdown.
    """

    title: str
    figures: Any
    table: tuple[str, ...]


def deliver(title: str, figures: Any, table: Iterable[str], output: Path | None) -> None:
    """Print the table, and write everything to a file when one is named."""
    report = Report(title, figures, tuple(table))
    print("\n".join(report.table))
    if output is None:
        return
    here = environment_of((), "")
    content = {
        "title": report.title,
        "command": " ".join(["python", "benchmarks/" + Path(sys.argv[0]).name, *_arguments()]),
        "day": datetime.now(UTC).date().isoformat(),
        "machine": {
            "cpu": here.cpu,
            "cores": here.cores,
            "memory": here.memory,
            "python": here.python,
            "packages": here.packages,
        },
        "figures": report.figures,
        "table": report.table,
    }
    output.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _arguments() -> list[str]:
    """Return the arguments of this process without the one that names the output."""
    kept, skip = [], False
    for argument in sys.argv[1:]:
        if skip or argument in ("-o", "--output"):
            skip = not skip
            continue
        kept.append(argument)
    return kept
