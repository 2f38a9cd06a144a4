"""Write docs/performance.md from the figures that benchmarks have kept.

python benchmarks/page.py                      # from benchmarks/results/*.json
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs/performance.md"
GIB = 1 << 30

OPENING = """\
# Performance

Every figure on this page is the output of a command in `benchmarks/` that anyone can run. What is
compared was measured side by side in one run, so the ratios say more than the seconds. The page is
written by `python benchmarks/page.py`.
"""


def main() -> None:
    """Write the page."""
    reports = [
        json.loads(path.read_text("utf-8")) for path in sorted((HERE / "results").glob("*.json"))
    ]
    PAGE.write_text("\n".join([OPENING, *(line for r in reports for line in section(r))]), "utf-8")


def section(report: dict[str, object]) -> Iterator[str]:
    """Yield the lines of one benchmark."""
    machine = report["machine"]
    assert isinstance(machine, dict)
    table = report["table"]
    assert isinstance(table, list)
    yield f"## {report['title']}"
    yield ""
    yield f"    {report['command']}"
    yield ""
    yield (
        f"{report['day']}, {machine['cores']} cores of {machine['cpu']}, "
        f"{machine['memory'] / GIB:.0f} GiB, Python {machine['python']}."
    )
    yield ""
    yield from table
    yield ""


if __name__ == "__main__":
    main()
