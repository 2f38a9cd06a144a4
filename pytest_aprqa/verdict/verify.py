"""Whether a run on record is what its own journal and records say it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from pytest_aprqa.verdict.canonical import canonical_json
from pytest_aprqa.verdict.conditions import misjudged
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.journal import JournalContent
from pytest_aprqa.verdict.provenance import artifacts_of
from pytest_aprqa.verdict.record import Run
from pytest_aprqa.verdict.rescore import rescore
from pytest_aprqa.words import Outcome


class Standing(StrEnum):
    """What came of holding one thing against another."""

    OK = "ok"
    FAILED = "failed"
    UNCHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that was verified.

    Attributes:
        name: what it is.
        detail: what was found; for a failure the field or line that does not hold.
    """

    name: str
    standing: Standing
    detail: str


def point(name: str, problem: str | None, holds: str) -> Point:
    """Return a point that failed for a problem, or holds."""
    return Point(name, Standing.FAILED if problem else Standing.OK, problem or holds)


def verify_run(run: Run, content: bytes, journal: JournalContent) -> list[Point]:
    """Hold a run against its journal and against itself.

    Args:
        run: as read from `content`.
        content: the bytes of evidence.json.
        journal: what its evidence.jsonl holds.
    """
    count = len(journal.latest)
    return [
        point("schema", _spelling(run, content), f"version {run.schema_version}"),
        point("journal", _chain(run, journal), f"{len(journal.records)} lines follow one another"),
        point("plan", _plan(run, journal), f"{len(run.plan.checks)} checks, {run.plan.tier}"),
        point("records", _records(run, journal), f"{count} are what the journal holds"),
        point("artifacts", _artifacts(run), f"{len(run.artifacts)} as their G0 records say"),
        point("verdict", _verdict(run), f"MQS {run.mqs.raw}, {run.certificate.status}"),
    ]


def _spelling(run: Run, content: bytes) -> str | None:
    """Every run has one spelling, so that no byte can change without meaning something."""
    ours, theirs = run.to_json().encode("ascii").split(b"\n"), content.split(b"\n")
    if ours == theirs:
        return None
    pairs = enumerate(zip(ours, theirs, strict=False), start=1)
    line = next((n for n, (a, b) in pairs if a != b), min(len(ours), len(theirs)) + 1)
    return f"line {line} is not written as this tool writes it"


def _chain(run: Run, journal: JournalContent) -> str | None:
    if journal.broken_at is not None:
        return journal.breach
    if journal.torn_tail:
        return f"line {len(journal.records) + 2} is cut off"
    if journal.head != run.journal_head:
        return f"journal_head is {run.journal_head}, the last line's sha256 is {journal.head}"
    return None


def _plan(run: Run, journal: JournalContent) -> str | None:
    header = journal.header
    if header is None:
        return "line 1 of the journal, which holds the plan, is not to be read"
    if header.plan_digest != header.plan.digest():
        return f"plan_digest in line 1 is {header.plan_digest}, its plan has {header.plan.digest()}"
    for field in ("run_id", "started"):
        if getattr(run, field) != getattr(header, field):
            return f"{field} is not that of line 1 of the journal"
    if field := _difference(run.plan, header.plan) or "":
        return f"plan.{field} is not that of line 1 of the journal"
    return None


def _records(run: Run, journal: JournalContent) -> str | None:
    line = {record.check: number for number, record in enumerate(journal.records, start=2)}
    written = {record.check: record for record in journal.latest}
    for record in run.records:
        theirs = written.pop(record.check, None)
        if theirs is None and not _is_blank(record):
            return f"{record.check}: the journal has no such record"
        if theirs is not None and (field := _difference(record, theirs)):
            return f"{record.check}.{field} is not that of line {line[record.check]} of the journal"
    if written:
        name = next(iter(written))
        return f"{name}: line {line[name]} of the journal has a record that is missing here"
    return None


def _is_blank(record: Evidence) -> bool:
    """Whether a record says no more than that its check was not run."""
    said = record.attempts or record.compared or record.observation
    return record.outcome is Outcome.SKIPPED and not said


def _difference(ours: BaseModel, theirs: BaseModel) -> str | None:
    """Return the first field that differs in what would be written down."""
    a, b = _written(ours), _written(theirs)
    return next((field for field in a if a[field] != b.get(field)), None)


def _written(model: BaseModel) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(canonical_json(model))
    return fields


def _artifacts(run: Run) -> str | None:
    try:
        recorded = artifacts_of(run.records)
    except ValueError:
        return "the record of a G0 does not say what its artifact is"
    for form in (*run.artifacts, *recorded):
        if run.artifacts.get(form) != recorded.get(form):
            return f"artifacts.{form} is not what the record of its G0 says"
    return None


def _verdict(run: Run) -> str | None:
    return next(_differences(run), None)


def _differences(run: Run) -> Iterator[str]:
    try:
        yield from map(str, rescore(run).differences)
    except ValueError as error:
        yield str(error)
    if problem := misjudged(run.plan, run.records):
        yield problem
