"""`falsification_gates`: conditions of the playbook's author on what a run finds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, StringConstraints

from pytest_aprqa.playbook.condition import MOST_CHARACTERS, parse_condition
from pytest_aprqa.playbook.fields import Name, Section
from pytest_aprqa.playbook.quantizations import several
from pytest_aprqa.words import GateSeverity

if TYPE_CHECKING:
    from pytest_aprqa.playbook.errors import FieldPath
    from pytest_aprqa.playbook.schema import Playbook


class FalsificationGate(Section):
    """One condition. It is an item of its own, `gate-ID`, that is judged after all others."""

    id: Name = Field(description="Name of the gate")
    description: str = Field(default="", max_length=2000, description="For its readers")
    condition: Annotated[str, StringConstraints(pattern=r"\S", max_length=MOST_CHARACTERS)] = Field(
        description="What must hold of the figures of the run"
    )
    severity: GateSeverity = Field(
        default=GateSeverity.P1,
        description="P0 blocks the model as a gateway does, P1 keeps it from being certified, P2 is "
        "only told",
    )


def unreadable(playbook: Playbook) -> Iterator[tuple[FieldPath, str]]:
    """Find conditions that cannot be read and ids that are taken."""
    quantizations = several(playbook.model)
    taken: set[str] = set()
    for place, gate in enumerate(playbook.falsification_gates):
        at: FieldPath = ("falsification_gates", place)
        if gate.id in taken:
            yield (*at, "id"), f"the id {gate.id!r} is taken by another gate"
        taken.add(gate.id)
        try:
            parse_condition(gate.condition, quantizations)
        except ValueError as error:
            yield (*at, "condition"), str(error)
