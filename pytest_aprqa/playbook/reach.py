"""Which tiers include a check, so that `-m tier_smoke` selects the same in every plan."""

from __future__ import annotations

from collections.abc import Collection

from pytest_aprqa.playbook.tiers import TIERS, Matrix, TierSpec
from pytest_aprqa.words import Category, Cell, Tier

ALL_TIERS = frozenset(Tier)


class Reach:
    """The tiers of the checks of one plan.

    A tier includes a check when it has its cell and its category, and asks at least so many
    scenarios of a cell. The plan's own tier includes all of it.
    """

    def __init__(self, own: Tier, matrix: Matrix) -> None:
        self._own = own
        self._counts = {tier: spec.count(_shared(spec, matrix)) for tier, spec in TIERS.items()}
        self._known: dict[tuple[Cell, Category | None], list[tuple[int, Tier]]] = {}
        self._sets: dict[frozenset[Tier], frozenset[Tier]] = {}

    def of(self, cell: Cell, category: Category | None, index: int = 0) -> frozenset[Tier]:
        """Return the tiers of a check; `index` is the place of a scenario in its cell."""
        key = (cell, category)
        if key not in self._known:
            self._known[key] = [
                (self._counts[tier], tier)
                for tier, spec in TIERS.items()
                if tier is not self._own and _has(spec, cell, category)
            ]
        tiers = frozenset([self._own, *(tier for count, tier in self._known[key] if index < count)])
        return self._sets.setdefault(tiers, tiers)


def _shared(spec: TierSpec, matrix: Matrix) -> int:
    """Return how many cells of a tier a matrix has, at least 1."""
    axes: tuple[tuple[Collection[str], Collection[str]], ...] = (
        (spec.backends, matrix.backends),
        (spec.modalities, matrix.modalities),
    )
    cells = sum(cell.format in spec.formats for cell in matrix.artifacts)
    for wanted, there in axes:
        cells *= len({*wanted} & {*there})
    return max(cells, 1)


def _has(spec: TierSpec, cell: Cell, category: Category | None) -> bool:
    return (
        (category is None or category in spec.categories)
        and (cell.format is None or cell.format in spec.formats)
        and (cell.backend is None or cell.backend in spec.backends)
        and (cell.modality is None or cell.modality in spec.modalities)
    )
