"""Failures as tickets: one for each root cause, safe to paste.

Text of a model is data. It stands in code blocks that it cannot end, with control characters
spelt out, and in a command only inside single quotes, where a shell expands nothing.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_aprqa.playbook.check import CheckKind
from pytest_aprqa.report.content import reproduce
from pytest_aprqa.report.markdown import escaped, fenced
from pytest_aprqa.report.visible import one_line, visible
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.record import Run
from pytest_aprqa.words import GateSeverity, Outcome

MOST_SHOWN = 5
"""Examples of one cause that are told in full."""
MOST_CHARACTERS = 1500
_TITLE = 110

_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|\([^)]*\)|\[[^\]]*\]")
_NUMBER = re.compile(r"[-+]?\d[\d.,]*(?:e[-+]?\d+)?")


@dataclass(frozen=True, slots=True)
class Ticket:
    """One root cause.

    Attributes:
        title: one line.
        labels: for the tracker.
        body: Markdown.
        checks: names of the checks that failed for this cause.
    """

    title: str
    labels: tuple[str, ...]
    body: str
    checks: tuple[str, ...]


def tickets(run: Run, *, least: int = 1) -> list[Ticket]:
    """Return a ticket for each root cause of a run's failures, the most severe first.

    Failures have one cause when they are of one gate and attribution and their reasons differ in
    numbers and quotations only. Checks that did not run because a gateway failed are told with it.

    Args:
        run: a concluded run.
        least: failures a cause must have.
    """
    causes: dict[tuple[str, ...], list[Evidence]] = {}
    for record in run.records:
        if record.outcome.fails:
            causes.setdefault(_cause(record), []).append(record)
    groups = [group for group in causes.values() if len(group) >= least]
    groups.sort(key=lambda group: (_priority(group[0]), -len(group)))
    return [_ticket(run, group) for group in groups]


def command(ticket: Ticket, repository: str, body: Path) -> str:
    """Return the command that files a ticket whose body is in a file; one line, safe to paste."""
    words = ["gh", "issue", "create", "--repo", repository, "--title", ticket.title]
    for label in ticket.labels:
        words += ["--label", label]
    return one_line(shlex.join([*words, "--body-file", str(body)]))


def _cause(record: Evidence) -> tuple[str, ...]:
    reason = _NUMBER.sub("#", _QUOTED.sub("…", record.reason))
    about = str(record.cell.artifact) if record.kind == CheckKind.INVARIANT else ""
    return (
        record.gate_id,
        record.attribution or "",
        record.outcome if record.outcome is not Outcome.FALSIFIED else "",
        about,
        reason,
    )


def _priority(record: Evidence) -> str:
    """Return a condition's own, P0 for a gateway or a crash, P1 for a conversion's fault, else P2."""
    if record.is_p0 or record.outcome is Outcome.CRASHED:
        return GateSeverity.P0
    if record.severity:
        return record.severity
    return "P1" if record.kind in (CheckKind.INVARIANT, CheckKind.PARITY) else "P2"


def _ticket(run: Run, group: Sequence[Evidence]) -> Ticket:
    first = group[0]
    times = f" ({len(group)} checks)" if len(group) > 1 else ""
    title = one_line(f"[{first.gate_id}] {run.plan.model_id}: {first.reason}")
    whose = (first.attribution.value,) if first.attribution else ()
    return Ticket(
        title=(title if len(title) <= _TITLE else title[: _TITLE - 1] + "…") + times,
        labels=("apr-qa", f"priority:{_priority(first)}", first.outcome.value, *whose),
        body="\n".join([*_head(run, group), *_examples(group), *_tail(run, group)]) + "\n",
        checks=tuple(record.check for record in group),
    )


def _head(run: Run, group: Sequence[Evidence]) -> Iterable[str]:
    first = group[0]
    whose = f", attributed to the {first.attribution}" if first.attribution else ""
    yield f"**{escaped(first.gate_id)}** {first.outcome}{whose}."
    yield ""
    yield from fenced(visible(_cut(first.reason)))
    yield ""
    yield f"* Model: {escaped(run.plan.model_id)}"
    yield f"* Playbook: {escaped(run.plan.playbook)}, tier {run.plan.tier}"
    yield f"* Checks: {len(group)}"
    yield from (f"  * {escaped(record.check)}" for record in group[:20])
    if len(group) > 20:
        yield f"  * and {len(group) - 20} more"
    if engines := sorted({record.engine for record in group if record.engine}):
        yield f"* Engine: {escaped('; '.join(engines))}"
    if digests := sorted({record.artifact_digest for record in group if record.artifact_digest}):
        yield f"* Artifact: {escaped(', '.join(digests))}"
    if blocked := _blocked(run, group):
        yield f"* {blocked} checks did not run because of it"


def _blocked(run: Run, group: Sequence[Evidence]) -> int:
    """Return how many checks were skipped because one of these failed."""
    names = [record.check for record in group if record.kind == CheckKind.GATEWAY]
    return sum(
        record.outcome is Outcome.SKIPPED and any(name in record.reason for name in names)
        for record in run.records
    )


def _examples(group: Sequence[Evidence]) -> Iterable[str]:
    for record in group[:MOST_SHOWN]:
        shown = (
            ("Prompt", record.prompt),
            ("Answer", record.answer),
            ("Expected", record.expected),
            ("Last words of the engine", "".join(a.stderr for a in record.attempts[-1:])),
        )
        if any(text for _, text in shown):
            yield f"\n### {escaped(record.check)}\n"
        for title, text in shown:
            if text:
                yield f"{title}:\n"
                yield from fenced(visible(_cut(text)))
                yield ""


def _tail(run: Run, group: Sequence[Evidence]) -> Iterable[str]:
    node = shlex.quote(f"{run.plan.playbook}::{group[0].check}")
    options = f" --tier {run.plan.tier}" + (" --no-gpu" if run.plan.cpu_only else "")
    yield "\nReproduce, alone and as the whole run:\n"
    yield from fenced("\n".join([one_line(f"pytest {node}{options}"), *reproduce(run)[:1]]))


def _cut(text: str) -> str:
    if len(text) <= MOST_CHARACTERS:
        return text
    return f"{text[:MOST_CHARACTERS]}\n[{len(text) - MOST_CHARACTERS} more characters]"
