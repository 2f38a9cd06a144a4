"""The summary of a run on a terminal: matrix, gateways, score, status, and what is proven."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from pytest_aprqa.report.content import unmeasured
from pytest_aprqa.report.matrix import Mark, Matrix, Tally, gateway_mark, matrix
from pytest_aprqa.report.visible import ascii_only, one_line
from pytest_aprqa.verdict.gateways import GatewayResult
from pytest_aprqa.verdict.mqs import CategoryScore
from pytest_aprqa.verdict.record import Run
from pytest_aprqa.words import Status

LABEL = 11
BAR = 20
NUMBERS = 58
"""Columns that a line of the score needs beside its bar."""
MOST_REASONS = 5


class Style(Enum):
    """How a piece of text looks; the value names pytest's markup."""

    PLAIN = ()
    STRONG = ("bold",)
    GOOD = ("green",)
    WARN = ("yellow",)
    BAD = ("red", "bold")
    DIM = ("light",)

    @property
    def markup(self) -> dict[str, bool]:
        """Return the keyword arguments of pytest's `TerminalReporter.write`."""
        return dict.fromkeys(self.value, True)


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a line in one style."""

    text: str
    style: Style = Style.PLAIN


Line = tuple[Span, ...]


def plain(lines: Iterable[Line]) -> str:
    """Return lines without their styles, each ended by a newline."""
    return "".join("".join(span.text for span in line).rstrip() + "\n" for line in lines)


def summary(run: Run, *, evidence: str, width: int = 80, unicode: bool = True) -> list[Line]:
    """Return the summary of a run.

    Args:
        run: what happened.
        evidence: where it is kept, for the reader to find it.
        width: columns of the terminal.
        unicode: whether the terminal can show more than ASCII.
    """
    page = _Page(max(width, 40), unicode)
    where = page.labelled("Evidence", evidence)
    if run.failure:  # there is nothing to score, and one sentence to read
        lines = [*page.title(run), *where, *page.status(run)]
        return lines if unicode else [_ascii(line) for line in lines]
    lines = [
        *page.title(run),
        *page.matrix(matrix(run)),
        *page.gateways(run.mqs.gateways.values()),
        *page.score(run),
        *page.unmeasured(run),
        *page.labelled("Proven", run.certificate.proven),
        *page.reused(run),
        *where,
        *page.status(run),
    ]
    return lines if unicode else [_ascii(line) for line in lines]


def _ascii(line: Line) -> Line:
    return tuple(Span(ascii_only(span.text), span.style) for span in line)


_MARK_STYLE = {
    Mark.PASSED: Style.GOOD,
    Mark.FAILED: Style.BAD,
    Mark.CRASHED: Style.BAD,
    Mark.TIMEOUT: Style.BAD,
    Mark.PARTIAL: Style.WARN,
    Mark.OPEN: Style.WARN,
    Mark.ABSENT: Style.DIM,
}
_STATUS_STYLE = {
    Status.CERTIFIED: Style.GOOD,
    Status.PROVISIONAL: Style.WARN,
    Status.PARTIAL: Style.WARN,
    Status.PENDING: Style.WARN,
    Status.BLOCKED: Style.BAD,
    Status.FAIL: Style.BAD,
}


@dataclass(frozen=True, slots=True)
class _Page:
    width: int
    unicode: bool

    def title(self, run: Run) -> Iterator[Line]:
        about = [f"tier {run.plan.tier}", run.plan.playbook]
        if run.plan.cpu_only:
            about.append("cpu only")
        if run.interrupted:
            about.append("interrupted")
        yield (
            Span(one_line(run.plan.model_id), Style.STRONG),
            Span("  " + one_line(", ".join(about)), Style.DIM),
        )

    def matrix(self, cells: Matrix) -> Iterator[Line]:
        """One row a format and backend, one column a modality."""
        if cells.rows:
            heads = [str(modality or "other") for modality in cells.columns]
            texts = {
                (row, column): self._cell(cells.cells.get((row, column)))
                for row in cells.rows
                for column in cells.columns
            }
            first = max(len(str(row)) for row in cells.rows) + 2
            widest = max(len(span.text) for span in texts.values())
            column_width = max(widest, *map(len, heads)) + 2
            yield (Span(" " * first + "".join(head.ljust(column_width) for head in heads)),)
            for row in cells.rows:
                spans = (texts[row, column] for column in cells.columns)
                padded = (Span(s.text.ljust(column_width), s.style) for s in spans)
                yield (Span(str(row).ljust(first)), *padded)
        if cells.other.planned:
            yield (Span("across cells".ljust(14)), self._cell(cells.other))

    def _cell(self, tally: Tally | None) -> Span:
        mark = tally.mark if tally else Mark.ABSENT
        sign = mark.text(unicode=self.unicode)
        if tally is None or mark is Mark.ABSENT:
            return Span(sign, Style.DIM)
        worse = f" {mark.word}" if mark in (Mark.CRASHED, Mark.TIMEOUT) else ""
        return Span(f"{sign} {tally.passed}/{tally.planned}{worse}", _MARK_STYLE[mark])

    def gateways(self, results: Iterable[GatewayResult]) -> Iterator[Line]:
        found = list(results)
        spans = [Span("Gateways".ljust(LABEL), Style.STRONG)]
        for result in found:
            mark = gateway_mark(result)
            sign = mark.text(unicode=self.unicode)
            spans.append(Span(f"{result.gateway} {sign}  ", _MARK_STYLE[mark]))
        yield tuple(spans)
        for result in found:
            if not result.outcome.passes:
                text = f"{result.gateway} {result.outcome}: {result.reason}"
                yield from self.wrapped(text, _MARK_STYLE[gateway_mark(result)])

    def score(self, run: Run) -> Iterator[Line]:
        mqs = run.mqs
        yield (
            Span("Score".ljust(LABEL), Style.STRONG),
            Span(f"MQS {mqs.raw}/1000, grade {mqs.grade} ({mqs.normalised:.1f}/100)"),
        )
        for category in mqs.categories:
            yield self._category(category)
        for penalty in mqs.penalties:
            where = f": {penalty.check}" if penalty.check else ""
            yield from self.wrapped(f"-{penalty.points} {penalty.reason}{where}", Style.BAD)

    def _category(self, score: CategoryScore) -> Line:
        full, empty = ("█", "░") if self.unicode else ("#", ".")
        length = max(0, min(BAR, self.width - NUMBERS))
        filled = int(length * score.points / score.maximum)
        style = Style.GOOD if score.corroborated == score.planned else Style.WARN
        if score.corroborated < score.executed:
            style = Style.BAD
        counted = f"{score.corroborated} of {score.executed}"
        if missing := score.planned - score.executed:
            counted += f", {missing} without a verdict"
        points = f"{score.points:.0f}/{score.maximum}"
        bar = full * filled + empty * (length - filled)
        return (
            Span(" " * LABEL + f"{score.category:5}{points:>8} "),
            Span(bar, style),
            Span(f" {counted}"),
        )

    def unmeasured(self, run: Run) -> Iterator[Line]:
        """Say what has no verdict, and why: skipped is not passed."""
        reasons = unmeasured(run)
        for number, (reason, count) in enumerate(reasons[:MOST_REASONS]):
            label = "" if number else "Unmeasured"
            yield from self.labelled(label, f"{count} x {reason}", Style.WARN)
        if len(reasons) > MOST_REASONS:
            yield from self.labelled("", f"and {len(reasons) - MOST_REASONS} other reasons")

    def reused(self, run: Run) -> Iterator[Line]:
        if told := run.certificate.reuse:
            yield from self.labelled("Reused", f"{told}; --no-result-cache runs them again")

    def status(self, run: Run) -> Iterator[Line]:
        certificate = run.certificate
        style = _STATUS_STYLE[certificate.status]
        text = str(certificate.status)
        if certificate.reason:
            text += f": {certificate.reason}"
        yield from self.labelled("Status", text, style)
        explained = certificate.status in (Status.BLOCKED, Status.FAIL)
        if certificate.score < certificate.threshold and not explained:
            text = f"MQS {certificate.score} is below the {certificate.threshold} this run needs"
            yield from self.wrapped(text, style)

    def labelled(self, label: str, text: str, style: Style = Style.PLAIN) -> Iterator[Line]:
        first, *rest = self._fold(text)
        yield (Span(label.ljust(LABEL), Style.STRONG), Span(first, style))
        for line in rest:
            yield (Span(" " * LABEL), Span(line, style))

    def wrapped(self, text: str, style: Style) -> Iterator[Line]:
        yield from self.labelled("", text, style)

    def _fold(self, text: str) -> list[str]:
        safe = one_line(text) if self.unicode else ascii_only(one_line(text))
        return textwrap.wrap(safe, self.width - LABEL, break_on_hyphens=False) or [""]
