"""The plan: every check of a playbook, in the order in which it runs."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from pytest_aprqa.playbook.check import Check, CheckKind
from pytest_aprqa.playbook.planner import Planner
from pytest_aprqa.playbook.quantizations import formats_of
from pytest_aprqa.playbook.tiers import TIERS, matrix_of, shortfall, tier_notices, tier_of
from pytest_aprqa.words import Backend, Category, Cell, FailurePolicy, Format, Modality, Tier

if TYPE_CHECKING:
    from pytest_aprqa.playbook.errors import Notice
    from pytest_aprqa.playbook.load import LoadedPlaybook
    from pytest_aprqa.playbook.model_spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run sets out to do.

    Attributes:
        playbook: name of the playbook.
        model: the model under test.
        tier: how much is tested.
        checks: in the order in which they run: the reference's format first, and everything about
            one format and backend together, so that each is loaded once.
        categories: the parts of the score that have checks.
        artifacts, backends, modalities: the axes of the cells; an artifact is a format, or one of
            several quantisations of it.
        digest: sha256 of the playbook's content, the tier and every check's name and prompt.
        playbook_digest: sha256 of the playbook's content.
        cpu_only: GPU cells were taken out.
        failure_policy: what a failure does to the checks after it.
        threshold: the score (MQS, 0-1000) from which the tier is passed.
        seed: of the samplers.
        shortfall: in what the plan is less than its tier asks for, a sentence each.
        notices: what the author of the playbook should know.
    """

    playbook: str
    model: ModelSpec
    tier: Tier
    checks: tuple[Check, ...]
    categories: frozenset[Category]
    artifacts: tuple[Cell, ...]
    backends: tuple[Backend, ...]
    modalities: tuple[Modality, ...]
    digest: str
    playbook_digest: str
    cpu_only: bool
    failure_policy: FailurePolicy
    threshold: int
    seed: int
    shortfall: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()

    @property
    def formats(self) -> tuple[Format, ...]:
        return formats_of(self.artifacts)

    @property
    def scenarios(self) -> tuple[Check, ...]:
        """The checks that ask an ordinary question, edge cases left out."""
        return tuple(
            check
            for check in self.checks
            if check.kind is CheckKind.SCENARIO and check.category is Category.QUAL
        )

    @property
    def distinct_prompts(self) -> int:
        """How many different conversations the scenarios ask; the n of every bound."""
        asked = (check.scenario for check in self.scenarios if check.scenario)
        return len({(s.system, s.history, s.prompt) for s in asked})

    def describe(self) -> str:
        """Return the plan as text: what is tested, how often, and what it could cost."""
        from pytest_aprqa.playbook.describe import describe

        return describe(self)


def make_plan(loaded: LoadedPlaybook, *, tier: Tier | None = None, no_gpu: bool = False) -> Plan:
    """Expand a playbook to its checks.

    Args:
        loaded: the playbook.
        tier: the tier to restrict or widen it to; None for the playbook's own.
        no_gpu: take the GPU cells out.

    Raises:
        PlaybookError: the playbook cannot serve the tier, or nothing is left without the GPU.
    """
    matrix = matrix_of(loaded, tier, no_gpu=no_gpu)
    chosen = tier or tier_of(loaded)
    planner = Planner(loaded, chosen, matrix)
    checks = planner.checks()
    categories = frozenset(check.category for check in checks if check.category)
    playbook = loaded.playbook
    cpu_only = no_gpu and Backend.GPU in matrix_of(loaded, tier, no_gpu=False).backends
    return Plan(
        playbook=playbook.name,
        model=playbook.model,
        tier=chosen,
        checks=checks,
        categories=categories,
        artifacts=matrix.artifacts,
        backends=matrix.backends,
        modalities=matrix.modalities,
        digest=_digest(loaded.digest, chosen, checks),
        playbook_digest=loaded.digest,
        cpu_only=cpu_only,
        failure_policy=playbook.failure_policy,
        threshold=TIERS[chosen].threshold,
        seed=playbook.test_matrix.seed,
        shortfall=shortfall(chosen, matrix, categories, cpu_only=cpu_only),
        notices=(*loaded.notices, *planner.notices(), *tier_notices(loaded, tier, matrix)),
    )


def _digest(playbook: str, tier: Tier, checks: tuple[Check, ...]) -> str:
    digest = sha256(f"{playbook} {tier}\n".encode())
    for check in checks:
        prompt = check.scenario.prompt if check.scenario else ""
        digest.update(f"{check.name}\0{prompt}\0".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
