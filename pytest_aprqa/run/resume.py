"""Going on with a run that was cut off: what its journal already proves, and about what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_aprqa.artifact.model import ArtifactError
from pytest_aprqa.playbook.check import LOOKING_BACK
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.journal import JournalContent, JournalError, read_journal
from pytest_aprqa.verdict.plan import PlannedCheck, RunPlan
from pytest_aprqa.verdict.record import RecordError
from pytest_aprqa.words import Attribution, Cell, Gateway

if TYPE_CHECKING:
    from pytest_aprqa.artifact.prepare import Workshop


@dataclass(frozen=True, slots=True)
class Kept:
    """The evidence of an earlier part of a run.

    Attributes:
        run_id: of the run, the same in all of its parts; "" when there was no earlier part.
        records: by name, of the checks that need not be carried out again.
    """

    run_id: str = ""
    records: Mapping[str, Evidence] = field(default_factory=dict)


def kept_in(journal: Path, plan: RunPlan) -> Kept:
    """Return what a journal keeps for a run of a plan: nothing when it is of another plan."""
    try:
        found = read_journal(journal)
    except RecordError:
        return Kept()
    if found.header is None or found.header.plan_digest != plan.digest():
        return Kept()
    return kept_of(found.header.run_id, found.latest, plan)


def kept_of(run_id: str, records: tuple[Evidence, ...], plan: RunPlan) -> Kept:
    """Return which records are evidence.

    Checks that look back over the whole run are kept only when all others are.
    """
    planned = {check.check: check for check in plan.checks}
    done = {r.check: r for r in records if r.check in planned and is_evidence(r)}
    if any(name not in done and not _looks_back(check) for name, check in planned.items()):
        done = {name: record for name, record in done.items() if not _looks_back(planned[name])}
    return Kept(run_id, done)


def is_evidence(record: Evidence) -> bool:
    """Whether a check was carried out, so that a resumed run need not carry it out again.

    A check that was given up, blocked, lost with its worker or defeated by the machine was not.
    """
    tried = bool(record.attempts) and record.attribution is not Attribution.ENVIRONMENT
    return record.outcome.executed or tried


def _looks_back(check: PlannedCheck) -> bool:
    return check.kind in LOOKING_BACK or check.gateway is Gateway.G3


def missing(found: JournalContent) -> int:
    """Return how many planned checks have no record in a journal."""
    return len(found.header.plan.checks) - len(found.latest) if found.header else 0


def require_same_artifacts(kept: Kept, workshop: Workshop) -> None:
    """Refuse to go on when the files are no longer those the records speak of.

    Raises:
        JournalError: an artifact has another digest now, or is not to be had.
    """
    tested: dict[Cell, str] = {}
    for record in kept.records.values():
        if record.format and record.artifact_digest:
            tested.setdefault(record.cell.artifact, record.artifact_digest)
    for cell, digest in tested.items():
        try:
            artifact = workshop.of(cell)
        except ArtifactError as error:
            raise JournalError(f"the run cannot be resumed: {error.message}") from error
        if artifact.digest != digest:
            raise JournalError(
                f"the run cannot be resumed: {artifact.path} has changed since, its digest is "
                f"{artifact.digest[:12]} and the journal speaks of {digest[:12]}; put the file "
                "back or start a new run without --resume"
            )
