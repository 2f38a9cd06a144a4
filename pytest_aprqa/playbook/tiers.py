"""The tiers: how much each tests, what it asks for, and which one applies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from pytest_aprqa.playbook.errors import Notice
from pytest_aprqa.playbook.quantizations import artifacts_of, formats_of
from pytest_aprqa.playbook.tier_names import TIER_NAMES, tier_of_stem
from pytest_aprqa.words import Backend, Category, Cell, Format, Modality, Tier

if TYPE_CHECKING:
    from pytest_aprqa.playbook.load import LoadedPlaybook


@dataclass(frozen=True, slots=True)
class TierSpec:
    """What a tier tests.

    Attributes:
        formats, backends, modalities: the axes of its cells.
        needs: formats it makes no sense without; the others it takes when the playbook has them.
        categories: the parts of the score it plans.
        per_cell: scenarios in each cell.
        scenarios: fewest scenario checks in all; small matrices ask more in each cell.
        threshold: score (MQS, 0-1000) from which the tier is passed.
        minutes: guidance on how long it takes, fewest and most.
    """

    formats: tuple[Format, ...]
    backends: tuple[Backend, ...]
    modalities: tuple[Modality, ...]
    needs: frozenset[Format]
    categories: frozenset[Category]
    per_cell: int
    scenarios: int
    threshold: int
    minutes: tuple[float, float]

    def count(self, cells: int) -> int:
        """Return the scenarios in each of so many cells."""
        return max(self.per_cell, ceil(self.scenarios / cells))


def _full(
    needs: Iterable[Format],
    per_cell: int,
    scenarios: int,
    threshold: int,
    minutes: tuple[float, float],
) -> TierSpec:
    return TierSpec(
        formats=tuple(Format),
        backends=tuple(Backend),
        modalities=tuple(Modality),
        needs=frozenset(needs),
        categories=frozenset(Category),
        per_cell=per_cell,
        scenarios=scenarios,
        threshold=threshold,
        minutes=minutes,
    )


TIERS: dict[Tier, TierSpec] = {
    Tier.SMOKE: TierSpec(
        formats=(Format.SAFETENSORS,),
        backends=(Backend.CPU,),
        modalities=(Modality.RUN,),
        needs=frozenset({Format.SAFETENSORS}),
        categories=frozenset({Category.QUAL, Category.STAB, Category.PERF}),
        per_cell=3,
        scenarios=3,
        threshold=700,
        minutes=(1, 2),
    ),
    Tier.MVP: _full(Format, per_cell=1, scenarios=1, threshold=700, minutes=(5, 10)),
    Tier.QUICK: _full((), per_cell=2, scenarios=10, threshold=700, minutes=(10, 30)),
    Tier.STANDARD: _full((), per_cell=10, scenarios=170, threshold=700, minutes=(60, 120)),
    Tier.DEEP: _full(Format, per_cell=100, scenarios=1800, threshold=900, minutes=(480, 1440)),
}
"""The tiers of the certification, from seconds to a day."""

SEQUENTIAL = (Tier.STANDARD, Tier.DEEP)
"""Tiers that ask enough of a cell to be certain of it before its end: they may stop early."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """The cells of a plan, and how many scenarios each is asked."""

    artifacts: tuple[Cell, ...]
    backends: tuple[Backend, ...]
    modalities: tuple[Modality, ...]
    count: int

    @property
    def formats(self) -> tuple[Format, ...]:
        return formats_of(self.artifacts)

    @property
    def cells(self) -> int:
        return len(self.artifacts) * len(self.backends) * len(self.modalities)


def tier_of(loaded: LoadedPlaybook) -> Tier:
    """Return the tier of a playbook: its file's suffix, else `metadata.tier`, else quick."""
    return stated_tier(loaded) or Tier.QUICK


def stated_tier(loaded: LoadedPlaybook) -> Tier | None:
    """Return the tier that a playbook says it is of, by its file's suffix or `metadata.tier`."""
    by_metadata = loaded.playbook.metadata.tier
    return tier_of_stem(loaded.path.stem) or (TIER_NAMES[by_metadata] if by_metadata else None)


def matrix_of(loaded: LoadedPlaybook, requested: Tier | None, *, no_gpu: bool) -> Matrix:
    """Return the cells to test.

    A requested tier decides over backends, modalities and counts; the formats stay those of the
    playbook. Without one, or when it is the tier the playbook was written for, what the playbook
    states stands and the tier fills in the rest.

    Raises:
        PlaybookError: the playbook lacks a format the requested tier needs, or `no_gpu` leaves
            nothing.
    """
    tier = requested or tier_of(loaded)
    if requested:
        _check_serves(loaded, requested)
    as_written = requested in (None, stated_tier(loaded))
    matrix = _cells(loaded, tier, as_written=as_written)
    if no_gpu:
        matrix = _without_gpu(loaded, matrix)
    stated = loaded.playbook.test_matrix.scenario_count
    pool = len(loaded.playbook.scenarios)
    count = TIERS[tier].count(matrix.cells)
    if as_written:
        count = stated or pool or count
    return Matrix(matrix.artifacts, matrix.backends, matrix.modalities, count)


def _cells(loaded: LoadedPlaybook, tier: Tier, *, as_written: bool) -> Matrix:
    spec, playbook = TIERS[tier], loaded.playbook
    stated_formats = "formats" in playbook.model.model_fields_set
    wanted = playbook.model.formats if as_written and stated_formats else spec.formats
    formats = tuple(f for f in Format if f in wanted and f in playbook.model.formats)
    backends, modalities = spec.backends, spec.modalities
    if as_written:
        stated = playbook.test_matrix.model_fields_set
        backends = playbook.test_matrix.backends if "backends" in stated else backends
        modalities = playbook.test_matrix.modalities if "modalities" in stated else modalities
    return Matrix(
        artifacts_of(playbook.model, formats),
        tuple(b for b in Backend if b in backends),
        tuple(m for m in Modality if m in modalities),
        count=0,
    )


def _without_gpu(loaded: LoadedPlaybook, matrix: Matrix) -> Matrix:
    backends = tuple(b for b in matrix.backends if b is not Backend.GPU)
    if not backends:
        raise loaded.error(
            "test_matrix.backends", "plans the gpu only, so --no-gpu leaves nothing; add cpu"
        )
    return Matrix(matrix.artifacts, backends, matrix.modalities, matrix.count)


def serves(loaded: LoadedPlaybook) -> tuple[Tier, ...]:
    """Return the tiers whose formats a playbook has."""
    return tuple(t for t, spec in TIERS.items() if spec.needs <= set(loaded.playbook.model.formats))


def _check_serves(loaded: LoadedPlaybook, tier: Tier) -> None:
    formats = loaded.playbook.model.formats
    missing = [f for f in Format if f in TIERS[tier].needs and f not in formats]
    if not missing:
        return
    others = ", ".join(serves(loaded))
    raise loaded.error(
        "model.formats",
        f"tier {tier} needs {', '.join(missing)}, and this playbook tests {', '.join(formats)} only; "
        f"add {'it' if len(missing) == 1 else 'them'}, or ask for a tier it can serve: {others}",
    )


def shortfall(
    tier: Tier, matrix: Matrix, categories: frozenset[Category], *, cpu_only: bool
) -> tuple[str, ...]:
    """Say in what a plan is less than its tier asks for, a sentence each.

    A GPU that was left out by `--no-gpu` is not counted: the plan says "cpu only".
    """
    spec = TIERS[tier]
    less = []
    if spec.needs:
        axes = (
            ("formats", spec.formats, matrix.formats),
            ("backends", spec.backends, (*matrix.backends, *([Backend.GPU] if cpu_only else []))),
            ("modalities", spec.modalities, matrix.modalities),
        )
        for axis, wanted, there in axes:
            if missing := [value for value in wanted if value not in there]:
                less.append(f"tier {tier} has {axis} that are not planned: {', '.join(missing)}")
    if (total := matrix.cells * matrix.count) < spec.scenarios:
        less.append(f"tier {tier} asks at least {spec.scenarios} scenarios; {total} are planned")
    if empty := [c for c in Category if c in spec.categories - categories]:
        less.append(f"tier {tier} has categories without any check here: {', '.join(empty)}")
    if Format.SAFETENSORS not in matrix.formats:
        less.append("without safetensors no conversion is held against a reference")
    return tuple(less)


def tier_notices(
    loaded: LoadedPlaybook, requested: Tier | None, matrix: Matrix
) -> tuple[Notice, ...]:
    """Tell the author of a large playbook that nothing in it names a tier."""
    total = matrix.cells * matrix.count
    larger = [t for t in (Tier.DEEP, Tier.STANDARD) if total >= TIERS[t].scenarios]
    if requested or stated_tier(loaded) or not larger:
        return ()
    reason = (
        f"no tier is named, so {Tier.QUICK} applies, although {total} scenarios are planned; "
        f"name one by file suffix, metadata.tier or --tier {larger[0]}"
    )
    return (Notice("metadata.tier", reason, loaded.line_of("metadata.tier")),)
