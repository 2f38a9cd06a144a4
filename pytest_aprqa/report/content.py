"""What every report tells, whatever it looks like: the items, the rates, the gaps, the commands."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pytest_aprqa.playbook.check import CheckKind
from pytest_aprqa.report.matrix import Mark, tally
from pytest_aprqa.report.visible import one_line, visible
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.plan import PlannedCheck
from pytest_aprqa.verdict.record import Run
from pytest_aprqa.words import Backend, Format, Modality

MOST_CHARACTERS = 4000
"""A longer text is cut in a report; the evidence has it whole."""

NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class Item:
    """One planned check and what came of it, ready to show: no text steers a terminal or a page.

    Attributes:
        outcome: an outcome, or "not run".
        reference: answer of the SafeTensors artifact to the same prompt, or "".
        facts: small named values, in order.
        attempts: every try, when there was more than one or one left a trace.
    """

    name: str
    gate_id: str
    kind: str
    category: str
    cell: str
    mark: Mark
    outcome: str
    reason: str
    prompt: str = ""
    answer: str = ""
    reference: str = ""
    expected: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    attempts: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        return self.mark in (Mark.FAILED, Mark.CRASHED, Mark.TIMEOUT)

    @property
    def texts(self) -> list[tuple[str, str]]:
        """What was asked, answered and expected, with its title, as far as there is any."""
        named = (
            ("Prompt", self.prompt),
            ("Answer", self.answer),
            ("Reference (SafeTensors)", self.reference),
            ("Expected", self.expected),
        )
        return [(title, text) for title, text in named if text]


def items(run: Run) -> list[Item]:
    """Return every planned check, those without a record included, in the order of the plan."""
    records = {record.check: record for record in run.records}
    references = _references(run.plan.checks, records)
    return [
        _item(check, records, references.get((check.prompt_digest, check.modality), ""))
        for check in run.plan.checks
    ]


def _item(check: PlannedCheck, records: Mapping[str, Evidence], reference: str) -> Item:
    record = records.get(check.check)
    item = Item(
        name=one_line(check.check),
        gate_id=one_line(check.gate_id),
        kind=check.kind.value,
        category=check.category.value if check.category else check.subject,
        cell=str(check.cell),
        mark=tally((check,), records).mark,
        outcome=record.outcome.value if record else NOT_RUN,
        reason=one_line(_cut(record.reason)) if record else NOT_RUN,
    )
    if record is None:
        return item
    return replace(
        item,
        prompt=_cut(record.prompt),
        answer=_cut(record.answer),
        reference="" if check.format is Format.SAFETENSORS else _cut(reference),
        expected=_cut(record.expected),
        facts=tuple(_facts(record)),
        attempts=tuple(_attempts(record)),
    )


def _references(
    checks: Iterable[PlannedCheck], records: Mapping[str, Evidence]
) -> dict[tuple[str, Modality | None], str]:
    """Return the reference's answers by prompt and modality, the CPU's where there are several."""
    found: dict[tuple[str, Modality | None], str] = {}
    for check in checks:
        record = records.get(check.check)
        if check.format is Format.SAFETENSORS and check.prompt_digest and record:
            key = (check.prompt_digest, check.modality)
            if record.answer is not None and (check.backend is Backend.CPU or key not in found):
                found[key] = record.answer
    return found


def _facts(record: Evidence) -> Iterable[tuple[str, str]]:
    compared = ", ".join(f"{count} {what}" for what, count in sorted(record.compared.items()))
    yield "compared", one_line(compared) or "nothing"
    if record.attribution:
        yield "attribution", record.attribution.value
    if record.flaky:
        yield "flaky", f"{record.outcome} once; it did not repeat when it was tried again"
    if record.reused:
        yield "reused", one_line(f"found by an earlier run, {record.started}")
    for name, value in sorted(record.metrics.items()):
        yield one_line(name.replace("_", " ")), number(value)
    if record.engine:
        yield "engine", one_line(record.engine)
    if record.artifact_digest:
        yield "artifact", one_line(record.artifact_digest)
    if record.seconds:
        yield "seconds", number(record.seconds)


def _attempts(record: Evidence) -> Iterable[str]:
    if len(record.attempts) < 2 and not any(attempt.stderr for attempt in record.attempts):
        return
    for count, attempt in enumerate(record.attempts, start=1):
        signal = f" ({attempt.signal})" if attempt.signal else ""
        text = f"attempt {count}: {attempt.outcome}{signal} {attempt.reason}\n{attempt.stderr}"
        yield _cut(text.strip())


def _cut(text: str | None) -> str:
    if not text or len(text) <= MOST_CHARACTERS:
        return visible(text or "")
    left = len(text) - MOST_CHARACTERS
    return f"{visible(text[:MOST_CHARACTERS])}\n[{left} more characters in the evidence]"


def number(value: float) -> str:
    """Return a number as people read it."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


@dataclass(frozen=True, slots=True)
class Measurements:
    """What was measured of each format and backend.

    Attributes:
        names: the measurements, as columns.
        rows: format and backend, and one value a column, "" where it was not measured.
    """

    names: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


_SPREAD = ("_mean", "_median", "_low", "_high")
"""Ends of names of what belongs to a metric that has the name alone."""


def measurements(run: Run) -> Measurements:
    """Return the metrics of a run's performance checks as a table."""
    found: dict[str, dict[str, float]] = {}
    for record in run.records:
        if record.kind == CheckKind.PERFORMANCE and record.format:
            found.setdefault(str(record.cell.engine), {}).update(
                {name: v for name, v in record.metrics.items() if not name.endswith(_SPREAD)}
            )
    names = sorted({name for metrics in found.values() for name in metrics})
    rows = (
        (cell, tuple(number(metrics[n]) if n in metrics else "" for n in names))
        for cell, metrics in found.items()
    )
    return Measurements(tuple(one_line(n.replace("_", " ")) for n in names), tuple(rows))


def unmeasured(run: Run) -> list[tuple[str, int]]:
    """Return why checks have no verdict and how many, the commonest reason first."""
    reasons = Counter(
        one_line(record.reason) or record.outcome.value
        for record in run.records
        if not record.outcome.executed
    )
    if missing := len(run.plan.checks) - len(run.records):
        reasons[NOT_RUN] += missing
    return reasons.most_common()


def reproduce(run: Run) -> list[str]:
    """Return the commands that make this run again, and the first failing check alone."""
    playbook = run.plan.playbook
    options = f" --tier {run.plan.tier}" + (" --no-gpu" if run.plan.cpu_only else "")
    commands = [run.environment.command or f"pytest {shlex.quote(playbook)}{options}"]
    for record in run.records:
        if record.outcome.fails:
            node = shlex.quote(f"{playbook}::{record.check}")
            commands.append(f"pytest {node}{options}")
            break
    return [one_line(command) for command in commands]
