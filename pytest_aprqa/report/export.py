"""A run as one flat document for other tools: what was tested, what it came to, every record."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pydantic import BaseModel, ConfigDict

from pytest_aprqa.verdict.evidence import SCHEMA_VERSION
from pytest_aprqa.verdict.provenance import ArtifactName
from pytest_aprqa.verdict.record import Run
from pytest_aprqa.words import Category, Cell, Format, Gateway, Outcome, Status, Tier


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ExportedModel(_Part):
    """The model."""

    hf_repo: str
    family: str
    parameters: int | None
    formats: tuple[Format, ...]
    digests: dict[ArtifactName, str]


class ExportedPlaybook(_Part):
    """What it was tested with."""

    name: str
    digest: str
    tier: Tier
    plan_digest: str


class ExportedSummary(_Part):
    """Counts over the plan; a check without a verdict is neither passed nor failed."""

    planned: int
    passed: int
    failed: int
    skipped: int
    inconclusive: int
    not_run: int
    started: str
    finished: str


class ExportedScore(_Part):
    """The score; points of each category."""

    status: Status
    score: int
    normalised: float
    grade: str
    threshold: int
    exit_ok: bool
    category_points: dict[Category, float]


class ExportedGate(_Part):
    """One gateway."""

    outcome: Outcome
    reason: str


class EvidenceExport(_Part):
    """The document."""

    schema_version: str
    run_id: str
    model: ExportedModel
    playbook: ExportedPlaybook
    summary: ExportedSummary
    mqs: ExportedScore
    gates: dict[Gateway, ExportedGate]
    evidence: tuple[dict[str, Any], ...]


def export_run(run: Run) -> EvidenceExport:
    """Return a run as the flat document; it depends on the run alone."""
    counts = Counter(record.outcome for record in run.records)
    certificate = run.certificate
    return EvidenceExport(
        schema_version=SCHEMA_VERSION,
        run_id=run.run_id,
        model=ExportedModel(
            hf_repo=run.plan.model_id,
            family=run.plan.family,
            parameters=run.plan.parameters,
            formats=tuple(dict.fromkeys(Cell.named(name).format for name in run.artifacts)),
            digests={form: artifact.digest for form, artifact in run.artifacts.items()},
        ),
        playbook=ExportedPlaybook(
            name=run.plan.playbook,
            digest=run.plan.playbook_digest,
            tier=run.plan.tier,
            plan_digest=run.plan.digest(),
        ),
        summary=ExportedSummary(
            planned=len(run.plan.checks),
            passed=counts[Outcome.CORROBORATED],
            failed=sum(count for outcome, count in counts.items() if outcome.fails),
            skipped=counts[Outcome.SKIPPED],
            inconclusive=counts[Outcome.INCONCLUSIVE],
            not_run=len(run.plan.checks) - len(run.records),
            started=run.started,
            finished=run.finished,
        ),
        mqs=ExportedScore(
            status=certificate.status,
            score=certificate.score,
            normalised=certificate.normalised,
            grade=certificate.grade,
            threshold=certificate.threshold,
            exit_ok=certificate.exit_ok,
            category_points={part.category: part.points for part in run.mqs.categories},
        ),
        gates={
            gateway: ExportedGate(outcome=result.outcome, reason=result.reason)
            for gateway, result in run.mqs.gateways.items()
        },
        evidence=tuple(record.model_dump(mode="json") for record in run.records),
    )
