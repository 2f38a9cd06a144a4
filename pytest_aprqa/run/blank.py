"""Records of checks that came to no verdict."""

from __future__ import annotations

from pytest_aprqa.playbook.check import Check
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.words import Attribution, Outcome


def not_run(
    check: Check, outcome: Outcome, reason: str, attribution: Attribution | None = None
) -> Evidence:
    """Return the record of a check that was not carried out."""
    return Evidence(
        check=check.name,
        gate_id=check.gate_id,
        kind=check.kind,
        category=check.category,
        subject=check.subject,
        format=check.cell.format,
        backend=check.cell.backend,
        modality=check.cell.modality,
        quantization=check.cell.quantization,
        outcome=outcome,
        reason=reason,
        attribution=attribution,
        prompt=check.scenario.prompt if check.scenario else None,
    )
