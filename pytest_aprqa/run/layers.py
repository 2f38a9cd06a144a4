"""Statistics of each layer for a check that failed: its engine's and the reference's."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from pytest_aprqa.artifact.model import ArtifactError
from pytest_aprqa.artifact.stored_dtype import stored_dtype
from pytest_aprqa.engine.protocol import EngineError
from pytest_aprqa.judge.layers import differences, first_that_differs, tolerance_of
from pytest_aprqa.observation import LayerState
from pytest_aprqa.playbook.check import Check
from pytest_aprqa.run.fidelity import opening_text
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.words import REFERENCE, REFERENCE_ENGINE, Backend, Cell, Gateway

if TYPE_CHECKING:
    from pytest_aprqa.run.laboratory import Laboratory

_MOST_TOKENS = 256
"""Enough for every prompt of ours, and a fraction of a second for a small model."""

_WITHOUT_A_PASS = (Gateway.G0, Gateway.G1, Gateway.G3)


def layer_report(check: Check, evidence: Evidence, laboratory: Laboratory) -> dict[str, Any]:
    """Return the states behind each layer for the text of a check, and the first that differs.

    Where an engine shows none, or fails, the report says so in its words.
    """
    if check.cell.format is None or check.subject in _WITHOUT_A_PASS:
        return {"told": "no forward pass belongs to this check"}
    cell = replace(check.cell, backend=check.cell.backend or Backend.CPU)
    text = evidence.prompt or opening_text()
    report: dict[str, Any] = {"text": text}
    ours = _states(report, "artifact", cell, check, laboratory)
    if cell.format is REFERENCE or REFERENCE not in laboratory.plan.formats:
        return report
    theirs = _states(report, "reference", REFERENCE_ENGINE, check, laboratory)
    if ours and theirs:
        tolerance = tolerance_of(stored_dtype(laboratory.artifact(cell)))
        found = differences(theirs, ours)
        report["differences"] = [by if math.isfinite(by) else None for by in found]
        report["tolerance"] = tolerance
        report["first_layer_that_differs"] = first_that_differs(found, tolerance)
    return report


def _states(
    report: dict[str, Any], side: str, cell: Cell, check: Check, laboratory: Laboratory
) -> list[LayerState]:
    """Trace one side, note its states in the report, and return them; none when it shows none."""
    limit = laboratory.timeout(check)
    try:
        engine = laboratory.engine(cell)
        ids = report.get("token_ids")
        if ids is None:
            [ids] = engine.tokenize([report["text"]], special=True, timeout=limit)
            report["token_ids"] = ids = ids[:_MOST_TOKENS]
        states = engine.trace(ids, limit)
    except (ArtifactError, EngineError) as error:
        report[side] = {"told": error.message}
        return []
    report[side] = [asdict(state) for state in states]
    return states
