"""The markers every playbook item bears, so that `-m` selects by what is tested."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from pytest_aprqa.words import Backend, Category, Format, Modality, Tier

if TYPE_CHECKING:
    from pytest_aprqa.playbook.check import Check

_AXES = {
    "tier": (Tier, "included in the {} tier"),
    "format": (Format, "tests the {} artifact"),
    "backend": (Backend, "runs on the {}"),
    "modality": (Modality, "asks by {}"),
    "category": (Category, "counts in {}"),
}

MARKERS = (
    *(
        f"{axis}_{value.lower()}: playbook item {meaning.format(value)}"
        for axis, (values, meaning) in _AXES.items()
        for value in values
    ),
    "gateway: playbook item is one of the gateways G0-G4",
)


def marker_names(check: Check) -> list[str]:
    """Return the names of the markers of a check."""
    cell = check.cell
    names = list(_tier_names(check.tiers))
    axes = (("format", cell.format), ("backend", cell.backend), ("modality", cell.modality))
    names += [f"{axis}_{value}" for axis, value in axes if value]
    if check.category:
        names.append(f"category_{check.category.lower()}")
    if check.kind == "gateway":
        names.append("gateway")
    return names


@cache
def _tier_names(tiers: frozenset[Tier]) -> tuple[str, ...]:
    return tuple(f"tier_{tier}" for tier in Tier if tier in tiers)
