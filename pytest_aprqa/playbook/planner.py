"""How a plan is put together, cell by cell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from pytest_aprqa.playbook.bounds import bounds_of
from pytest_aprqa.playbook.check import Check, CheckKind, Scenario
from pytest_aprqa.playbook.errors import Notice
from pytest_aprqa.playbook.gate_ids import gate
from pytest_aprqa.playbook.planned_gates import gates_of
from pytest_aprqa.playbook.prompts import EDGE_KINDS, PAST_CONTEXT, edge_scenario
from pytest_aprqa.playbook.questions import Asked, Questions
from pytest_aprqa.playbook.reach import Reach
from pytest_aprqa.playbook.tiers import SEQUENTIAL, TIERS, Matrix
from pytest_aprqa.words import LOADED, REFERENCE, Backend, Category, Cell, Format, Gateway, Tier

if TYPE_CHECKING:
    from pytest_aprqa.playbook.load import LoadedPlaybook

SOUND = (*LOADED, Gateway.G4)

_PERFORMANCE = ("load-time", "time-to-first-token", "decode-rate", "peak-memory")
_PERCENTILES = ("latency-p50", "latency-p99")
"""Measured only where the playbook bounds them."""
_STABILITY = ("repeat", "batch", "cache", "long-generation", "cancellation")
_REGRESSION = ("score-regression", "throughput-regression", "answer-flips")

_INVARIANT_NEEDS = {
    "I-1": LOADED,
    "I-2": (Gateway.G0,),
    "I-3": (Gateway.G0,),
    "I-4": (Gateway.G0,),
    "I-5": (Gateway.G0, Gateway.G1),
}
"""I-1 and I-5 ask an engine, the others read files."""

_FIDELITY_TOKENS = {Tier.STANDARD: 1024, Tier.DEEP: 4096}
"""Tokens of text that I-1 scores, where a tier asks for more than the least."""


class Planner:
    """Makes the checks of one playbook at one tier.

    The reference's format comes first, because conversions are held against what it answered; a
    format and backend stay together, because that is one load; the cheapest finding comes first.
    """

    def __init__(self, loaded: LoadedPlaybook, tier: Tier, matrix: Matrix) -> None:
        self._loaded = loaded
        self._playbook = loaded.playbook
        self._matrix = matrix
        self._tier = tier
        self._categories = TIERS[tier].categories
        self._questions = Questions(loaded, matrix.count)
        self._reach = Reach(tier, matrix)
        self._left_out: list[Notice] = []
        self._timeout = self._playbook.test_matrix.timeout_ms / 1000

    def checks(self) -> tuple[Check, ...]:
        """Return every check, in order."""
        checks = tuple(self._all())
        gates, self._left_out = gates_of(self._loaded, checks, self._reach.of(Cell(), None))
        return (*checks, *gates)

    def notices(self) -> tuple[Notice, ...]:
        """Return what the plan leaves unused, once its checks are made."""
        from pytest_aprqa.playbook.property_tests import without_family

        return (
            *self._questions.notices(),
            *without_family(self._loaded),
            *self._not_compared(),
            *self._left_out,
        )

    def _not_compared(self) -> Iterator[Notice]:
        """Yield what differential tests ask for and this plan compares no formats for."""
        asked = self._playbook.differential_tests
        compares = self._plans(Category.COMP) and any(
            map(self._is_conversion, self._matrix.formats)
        )
        if asked is None or compares:
            return
        for name in asked.asked:
            field = f"differential_tests.{name}"
            reason = "this plan compares no formats: it has no conversion beside its SafeTensors, or no COMP"
            yield Notice(field, reason, self._loaded.line_of(field))

    def _all(self) -> Iterator[Check]:
        for artifact in self._matrix.artifacts:
            yield from self._of_artifact(artifact)
        if Category.REGR in self._categories:
            for name in _REGRESSION:
                yield self._check(CheckKind.REGRESSION, name, Cell(), name)
        yield self._gateway(Gateway.G3, Cell(), needs=())

    def _of_artifact(self, artifact: Cell) -> Iterator[Check]:
        yield self._gateway(Gateway.G0, artifact, needs=())
        for backend in self._matrix.backends:
            yield from self._of_engine(replace(artifact, backend=backend))
            if backend is self._matrix.backends[0]:
                yield from self._invariants(artifact, backend)
        if self._plans(Category.COMP) and len(self._matrix.backends) > 1:
            cell = replace(artifact, backend=self._matrix.backends[-1])
            yield self._check(
                CheckKind.PARITY, "backend", cell, f"backend-parity[{artifact}]", needs=LOADED
            )

    def _of_engine(self, cell: Cell) -> Iterator[Check]:
        yield self._gateway(Gateway.G1, cell, needs=LOADED[:1])
        yield self._gateway(Gateway.G2, cell, needs=LOADED[:2])
        yield self._gateway(Gateway.G4, cell, needs=LOADED)
        yield from self._scenarios(cell)
        yield from self._properties(cell)
        yield from self._performance(cell)
        yield from self._stability(cell)
        yield from self._edges(cell)
        yield from self._parity(cell)

    def _scenarios(self, cell: Cell) -> Iterator[Check]:
        assert cell.backend
        for modality in self._matrix.modalities:
            here = replace(cell, modality=modality)
            gate_ids = {}
            asked = self._questions.dealt(cell.backend, modality)
            for index, (scenario, kind, line) in self._in_order(asked):
                if kind not in gate_ids:
                    gate_ids[kind] = gate(CheckKind.SCENARIO, kind, Category.QUAL)
                yield Check(
                    name=f"{scenario.name}[{here}]",
                    gate_id=gate_ids[kind].id,
                    kind=CheckKind.SCENARIO,
                    category=Category.QUAL,
                    cell=here,
                    scenario=scenario,
                    needs=SOUND,
                    timeout=self._timeout,
                    line=line,
                    tiers=self._reach.of(here, Category.QUAL, index),
                )

    def _in_order(self, asked: Sequence[Asked]) -> list[tuple[int, Asked]]:
        """Return questions with their places, in the order in which they are asked.

        Where a cell may stop early its questions are mixed by the seed: a playbook begins with its
        own and goes on with the catalogue's, and the first ones must speak for all.
        """
        placed = list(enumerate(asked))
        if self._tier in SEQUENTIAL:
            seed = self._playbook.test_matrix.seed
            placed.sort(
                key=lambda entry: sha256(f"{seed} {entry[1].scenario.name}".encode()).digest()
            )
        return placed

    def _properties(self, cell: Cell) -> Iterator[Check]:
        from pytest_aprqa.playbook.property_tests import max_shrinks, tests_of

        section = self._playbook.property_tests
        here = replace(cell, modality=self._matrix.modalities[0])
        for number, test in enumerate(tests_of(section), start=1):
            if test.family is None:
                continue
            yield self._check(
                CheckKind.PROPERTY,
                "property",
                here,
                f"property-{number:02d}-{test.family}[{here}]",
                needs=SOUND,
                field="property_tests",
                params={
                    "family": test.family,
                    "count": test.count,
                    "max_shrinks": max_shrinks(section),
                    "seed": self._playbook.test_matrix.seed,
                    "max_tokens": self._playbook.test_matrix.max_tokens,
                },
            )

    def _performance(self, cell: Cell) -> Iterator[Check]:
        profile = self._playbook.profile_ci
        if not profile.enabled or cell.format not in profile.formats:
            return
        if cell.backend is None or cell.backend not in profile.backends:
            return
        for subject in (*_PERFORMANCE, *_PERCENTILES):
            bounds = bounds_of(profile.assertions, subject, cell.backend)
            if subject in _PERCENTILES and not bounds:
                continue
            yield self._check(
                CheckKind.PERFORMANCE,
                subject,
                cell,
                needs=LOADED,
                field="profile_ci",
                params={"warmup": profile.warmup, "measure": profile.measure, **bounds},
            )

    def _stability(self, cell: Cell) -> Iterator[Check]:
        for subject in _STABILITY:
            if subject == "cache" and cell.format is not Format.GGUF:
                continue  # only llama.cpp keeps prompts from one request to the next
            yield self._check(CheckKind.STABILITY, subject, cell, needs=LOADED)

    def _edges(self, cell: Cell) -> Iterator[Check]:
        if not self._plans(Category.EDGE):
            return
        matrix = self._playbook.test_matrix
        here = replace(cell, modality=self._matrix.modalities[0])
        for kind in EDGE_KINDS:
            scenario = edge_scenario(kind, max_tokens=matrix.max_tokens, seed=matrix.seed)
            yield self._check(
                CheckKind.SCENARIO,
                kind,
                here,
                f"{scenario.name}[{here}]",
                needs=LOADED,
                scenario=scenario,
                params={PAST_CONTEXT: True} if kind == "too-long" else {},
            )

    def _parity(self, cell: Cell) -> Iterator[Check]:
        if not self._plans(Category.COMP):
            return
        if len(self._matrix.modalities) > 1:
            yield self._check(
                CheckKind.PARITY, "modality", cell, f"modality-parity[{cell}]", needs=LOADED
            )
        if cell.format is REFERENCE and cell.backend is self._matrix.backends[0]:
            yield from self._endpoint(cell)
        if self._is_conversion(cell.format):
            asked = self._playbook.differential_tests
            yield self._check(
                CheckKind.PARITY,
                "format",
                cell,
                f"format-parity[{cell}]",
                needs=LOADED,
                params=dict(asked.prompt) if asked else {},
            )

    def _endpoint(self, cell: Cell) -> Iterator[Check]:
        from pytest_aprqa.playbook.endpoint import ENDPOINT

        asked = self._playbook.ollama_parity
        if asked is not None and asked.enabled:
            yield self._check(
                CheckKind.PARITY,
                ENDPOINT,
                cell,
                f"endpoint-parity[{cell}]",
                needs=LOADED,
                field="ollama_parity",
                params={
                    "base_url": asked.base_url,
                    "model": asked.model_tag,
                    "dtype": asked.quantizations[0],
                    "prompts": list(asked.prompts),
                },
            )

    def _invariants(self, artifact: Cell, backend: Backend) -> Iterator[Check]:
        if not self._plans(Category.COMP) or not self._is_conversion(artifact.format):
            return
        for label in self._playbook.invariants:
            needs = _INVARIANT_NEEDS[label]
            cell = replace(artifact, backend=backend) if Gateway.G1 in needs else artifact
            yield self._check(
                CheckKind.INVARIANT,
                label,
                cell,
                f"{label}[{artifact}]",
                needs=needs,
                params=self._fidelity() if label == "I-1" else None,
                field="contract_tests.invariants",
            )

    def _fidelity(self) -> dict[str, Any]:
        tokens = _FIDELITY_TOKENS.get(self._tier)
        return {"tokens": tokens} if tokens else {}

    def _plans(self, category: Category) -> bool:
        return category in self._categories

    def _is_conversion(self, format_: Format | None) -> bool:
        return format_ is not REFERENCE and REFERENCE in self._matrix.formats

    def _gateway(self, gateway: Gateway, cell: Cell, *, needs: tuple[Gateway, ...]) -> Check:
        name = f"{gateway}[{cell}]" if cell.format else gateway.value
        return self._check(CheckKind.GATEWAY, gateway, cell, name, needs=needs, field="gates")

    def _check(
        self,
        kind: CheckKind,
        subject: str,
        cell: Cell,
        name: str = "",
        *,
        needs: tuple[Gateway, ...] = (),
        scenario: Scenario | None = None,
        params: dict[str, Any] | None = None,
        field: str = "test_matrix",
    ) -> Check:
        about = gate(kind, subject, Category.EDGE if scenario else None)
        return Check(
            name=name or f"{subject}[{cell}]",
            gate_id=about.id,
            kind=kind,
            category=about.category,
            cell=cell,
            subject="" if scenario else subject,
            scenario=scenario,
            needs=needs,
            params=params or {},
            timeout=self._timeout,
            line=self._loaded.line_of(field),
            tiers=self._reach.of(cell, about.category),
        )
