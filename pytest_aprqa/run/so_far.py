"""What a run has found so far, for the checks that look back over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.journal import read_journal
from pytest_aprqa.verdict.plan import RunPlan

if TYPE_CHECKING:
    from pytest_aprqa.run.laboratory import Laboratory


class SoFar(NamedTuple):
    """The plan of a run, and the last record of each check that has been carried out."""

    plan: RunPlan
    records: tuple[Evidence, ...]


def so_far(laboratory: Laboratory) -> SoFar | None:
    """Return what the run has found up to now; None when it has no journal.

    What this process found last may not be in the journal yet: a worker goes on with its next check
    while its last record is still on the way to whoever writes it down.
    """
    journal = read_journal(laboratory.journal)
    if journal.header is None:
        return None
    records = {record.check: record for record in journal.latest} | laboratory.unwritten
    return SoFar(journal.header.plan, tuple(records.values()))
