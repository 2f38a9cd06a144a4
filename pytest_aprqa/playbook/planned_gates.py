"""The conditions of a playbook as checks, as far as its plan measures what they name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_aprqa.playbook.bindings import bindings
from pytest_aprqa.playbook.check import Check, CheckKind
from pytest_aprqa.playbook.condition import figures_in, parse_condition
from pytest_aprqa.playbook.errors import Notice
from pytest_aprqa.playbook.gate_ids import gate
from pytest_aprqa.playbook.quantizations import several
from pytest_aprqa.words import Cell, Tier

if TYPE_CHECKING:
    from pytest_aprqa.playbook.falsification import FalsificationGate
    from pytest_aprqa.playbook.load import LoadedPlaybook
    from pytest_aprqa.playbook.model_spec import ModelSpec


def gates_of(
    loaded: LoadedPlaybook, planned: Sequence[Check], tiers: frozenset[Tier]
) -> tuple[list[Check], list[Notice]]:
    """Return a closing check for each gate, and what is said of those that are left out.

    Args:
        loaded: the playbook.
        planned: every other check of the plan.
        tiers: those of a check about the whole run.
    """
    checks: list[Check] = []
    left_out: list[Notice] = []
    for place, stated in enumerate(loaded.playbook.falsification_gates):
        field = f"falsification_gates[{place}]"
        line = loaded.line_of(field)
        if missing := _missing(stated, loaded, planned):
            reason = f"nothing that is planned here measures {missing}; the gate is left out"
            left_out.append(Notice(field, reason, line))
            continue
        checks.append(
            Check(
                name=f"gate-{stated.id}",
                gate_id=gate(CheckKind.CONDITION, "condition").id,
                kind=CheckKind.CONDITION,
                category=None,
                cell=Cell(),
                subject=stated.severity,
                params={"condition": stated.condition},
                timeout=loaded.playbook.test_matrix.timeout_ms / 1000,
                line=line,
                tiers=tiers,
            )
        )
    return checks, left_out


def can_be_judged(check: Check, model: ModelSpec, planned: Sequence[Check]) -> bool:
    """Whether a plan measures what a check names, if the check is a condition."""
    if check.kind is not CheckKind.CONDITION:
        return True
    return bool(bindings(parse_condition(check.params["condition"], several(model)), planned))


def _missing(
    stated: FalsificationGate, loaded: LoadedPlaybook, planned: Sequence[Check]
) -> str | None:
    """Return what of a gate a plan does not measure, or None when it can be judged."""
    condition = parse_condition(stated.condition, several(loaded.playbook.model))
    if bindings(condition, planned):
        return None
    named = dict.fromkeys(figures_in(condition))
    lost = [figure for figure in named if not any(map(figure.covers, planned))]
    return ", ".join(map(str, lost or named))
