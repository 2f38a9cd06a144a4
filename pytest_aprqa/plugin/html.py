"""What pytest-html shows of a playbook item beside its result: the verdict, and why.

It goes into the test's own cell: pytest-html fixes its columns before anything is collected, and
a session without playbooks must not get any of ours.
"""

from __future__ import annotations

import json
from html import escape
from typing import Any


class HtmlRows:
    """Adds outcome, reason, prompt and answer to the rows of playbook items."""

    def pytest_html_results_table_row(self, report: Any, cells: list[str]) -> None:
        text = getattr(report, "aprqa_evidence", None)
        if not text:
            return
        evidence = json.loads(text)
        lines = [f"<strong>{escape(evidence['outcome'])}</strong>: {escape(evidence['reason'])}"]
        lines += [
            f"{part}: <code>{escape(visible(evidence[part]))}</code>"
            for part in ("prompt", "answer")
            if evidence.get(part)
        ]
        cells[1] = cells[1].replace("</td>", f"<br>{'<br>'.join(lines)}</td>")


def visible(text: str) -> str:
    """Return text with every control character but the line feed written out."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
