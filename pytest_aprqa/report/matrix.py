"""The matrix of a run: what came of every cell format x backend x modality."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from pytest_aprqa.playbook.check import CheckKind
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.gateways import GatewayResult
from pytest_aprqa.verdict.plan import PlannedCheck
from pytest_aprqa.verdict.record import Run
from pytest_aprqa.words import Backend, Cell, Format, Modality, Outcome


class Mark(Enum):
    """What came of a group of checks: a sign, the same in ASCII, and a word for it."""

    PASSED = ("✓", "ok", "passed")
    FAILED = ("✗", "FAIL", "falsified")
    CRASHED = ("✗", "FAIL", "crashed")
    TIMEOUT = ("✗", "FAIL", "timed out")
    PARTIAL = ("◐", "part", "passed as far as it ran")
    OPEN = ("?", "?", "no verdict")
    ABSENT = ("·", ".", "not planned")

    def __init__(self, sign: str, ascii_sign: str, word: str) -> None:
        self.sign = sign
        self.ascii_sign = ascii_sign
        self.word = word

    def text(self, *, unicode: bool) -> str:
        """Return the sign for a terminal that knows Unicode, or does not."""
        return self.sign if unicode else self.ascii_sign


@dataclass(frozen=True, slots=True)
class Tally:
    """How the checks of a group ended.

    Attributes:
        outcomes: number of records by outcome.
        planned: checks of the group, with or without a record.
        reason: why the first check that did not pass did not.
    """

    outcomes: Mapping[Outcome, int]
    planned: int
    reason: str = ""

    @property
    def passed(self) -> int:
        return self.outcomes.get(Outcome.CORROBORATED, 0)

    @property
    def executed(self) -> int:
        return sum(count for outcome, count in self.outcomes.items() if outcome.executed)

    @property
    def mark(self) -> Mark:
        if not self.planned:
            return Mark.ABSENT
        for outcome, mark in _WORST_FIRST:
            if self.outcomes.get(outcome):
                return mark
        if self.passed == self.planned:
            return Mark.PASSED
        return Mark.PARTIAL if self.passed else Mark.OPEN


_WORST_FIRST = (
    (Outcome.CRASHED, Mark.CRASHED),
    (Outcome.TIMEOUT, Mark.TIMEOUT),
    (Outcome.FALSIFIED, Mark.FAILED),
)


@dataclass(frozen=True, slots=True)
class Matrix:
    """The tallies of a run's scored checks.

    Attributes:
        rows: the planned artifacts with a backend each, in the order of the words.
        columns: the planned modalities; None stands for checks that have none (load time,
            decode rate, repeats).
        cells: tally of each row and column.
        other: checks that belong to no backend, for instance contracts between formats.
    """

    rows: tuple[Cell, ...]
    columns: tuple[Modality | None, ...]
    cells: Mapping[tuple[Cell, Modality | None], Tally]
    other: Tally


def matrix(run: Run) -> Matrix:
    """Return the matrix of a run."""
    scored = [check for check in run.plan.checks if check.kind is not CheckKind.GATEWAY]
    records = {record.check: record for record in run.records}
    groups: dict[tuple[Cell, Modality | None] | None, list[PlannedCheck]] = {}
    for check in scored:
        groups.setdefault(_place(check), []).append(check)
    placed = [place for place in groups if place is not None]
    rows = dict.fromkeys(row for row, _ in placed)
    modalities = {modality for _, modality in placed}
    return Matrix(
        rows=tuple(sorted(rows, key=_order)),
        columns=tuple(m for m in (*Modality, None) if m in modalities),
        cells={place: tally(groups[place], records) for place in placed},
        other=tally(groups.get(None, ()), records),
    )


def tally(checks: Iterable[PlannedCheck], records: Mapping[str, Evidence]) -> Tally:
    """Count how checks ended."""
    planned = list(checks)
    found = [records[check.check] for check in planned if check.check in records]
    reasons = (record.reason for record in found if not record.outcome.passes)
    return Tally(
        outcomes=dict(Counter(record.outcome for record in found)),
        planned=len(planned),
        reason=next(reasons, "not run" if len(found) < len(planned) else ""),
    )


def _place(check: PlannedCheck) -> tuple[Cell, Modality | None] | None:
    if check.format is None or check.backend is None:
        return None
    return check.cell.engine, check.modality


def _order(row: Cell) -> tuple[int, str, int]:
    assert row.format
    assert row.backend
    return [*Format].index(row.format), row.quantization or "", [*Backend].index(row.backend)


def gateway_mark(result: GatewayResult) -> Mark:
    """Return the mark of a gateway over all its cells."""
    if result.outcome is Outcome.FALSIFIED:
        return Mark.FAILED
    if result.outcome.passes:
        return Mark.PASSED if result.complete else Mark.PARTIAL
    return Mark.OPEN
