"""From a playbook file and the user's settings to a plan and the place of its evidence."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_aprqa.judge.oracles import validate_config
from pytest_aprqa.playbook.errors import none_of
from pytest_aprqa.playbook.load import LoadedPlaybook, load_playbook
from pytest_aprqa.playbook.lock import require_locked
from pytest_aprqa.playbook.plan import Plan, make_plan
from pytest_aprqa.playbook.planned_gates import can_be_judged
from pytest_aprqa.run.settings import Settings
from pytest_aprqa.verdict.certificate import pass_threshold
from pytest_aprqa.verdict.journal import read_journal
from pytest_aprqa.verdict.plan import PlannedCheck, RunPlan
from pytest_aprqa.verdict.record import RecordError
from pytest_aprqa.verdict.run_file import is_certificate
from pytest_aprqa.words import Category, FailurePolicy, Tier

JOURNAL = "evidence.jsonl"
EVIDENCE = "evidence.json"
EARLIER_EVIDENCE = "evidence.json.previous"
PARTIAL_JOURNAL = "evidence.partial.jsonl"
PARTIAL_EVIDENCE = "evidence.partial.json"
REPORTS = ("report.html", "report.md")


@dataclass(frozen=True, slots=True)
class PlannedPlaybook:
    """A playbook with the plan it expands to.

    Attributes:
        loaded: the playbook as read.
        plan: its checks in the order they run.
        output: directory of its evidence and reports.
        failure_policy: the user's, else the playbook's.
    """

    loaded: LoadedPlaybook
    plan: Plan
    output: Path
    failure_policy: FailurePolicy

    @property
    def journal(self) -> Path:
        return self.output / JOURNAL

    @property
    def evidence(self) -> Path:
        return self.output / EVIDENCE

    def journal_of(self, selected: Collection[str]) -> Path:
        """Return where a run of these checks is written: not over the evidence of a whole run."""
        return self.output / (JOURNAL if self.is_complete(selected) else PARTIAL_JOURNAL)

    def is_complete(self, selected: Collection[str]) -> bool:
        """Whether these are all the checks of the plan."""
        return {check.name for check in self.plan.checks} <= set(selected)


def plan_playbook(path: Path, settings: Settings) -> PlannedPlaybook:
    """Load a playbook and plan it. Raises PlaybookError, LockError when it is not as it was locked.

    Regression checks stay in the plan only when there is an earlier certificate to compare with;
    a resumed run keeps to what it planned when it began.
    """
    loaded = load_playbook(path, check_oracle=validate_config)
    if not settings.ignore_lock:
        require_locked(loaded)
    _require_builtin(loaded)
    plan = make_plan(loaded, tier=settings.tier, no_gpu=settings.no_gpu)
    output = settings.certifications / model_directory(plan.model.hf_repo)
    if not _has_earlier_certificate(output, plan.tier, resume=settings.resume):
        plan = without_regression(plan)
    return PlannedPlaybook(loaded, plan, output, settings.failure_policy or plan.failure_policy)


def _require_builtin(loaded: LoadedPlaybook) -> None:
    """Raise PlaybookError when a playbook names a model that does not ship with the package."""
    name = loaded.playbook.model.builtin
    if name is None:
        return
    from pytest_aprqa.artifact.locate import BUILTIN

    known = sorted(path.name for path in BUILTIN.iterdir() if path.is_dir())
    if name not in known:
        raise loaded.error("model.builtin", none_of(name, known))


def _has_earlier_certificate(output: Path, tier: Tier, *, resume: bool) -> bool:
    if resume:
        try:
            header = read_journal(output / JOURNAL).header
        except RecordError:
            header = None
        if header:
            return Category.REGR in header.plan.planned_categories()
    return any(is_certificate(output / name, tier) for name in (EVIDENCE, EARLIER_EVIDENCE))


def without_regression(plan: Plan) -> Plan:
    """Return a plan without the checks that need an earlier certificate, and what names only them."""
    checks = tuple(check for check in plan.checks if check.category is not Category.REGR)
    return replace(
        plan,
        checks=tuple(check for check in checks if can_be_judged(check, plan.model, checks)),
        categories=plan.categories - {Category.REGR},
    )


def model_directory(hf_repo: str) -> str:
    """Return the folder name of a model's evidence: its short name in lower case."""
    return hf_repo.rpartition("/")[2].lower()


def run_plan(planned: PlannedPlaybook) -> RunPlan:
    """Return the plan as the evidence keeps it."""
    plan = planned.plan
    return RunPlan(
        playbook=planned.loaded.path.name,
        playbook_digest=planned.loaded.digest,
        model_id=plan.model.hf_repo,
        family=plan.model.family or "",
        tier=plan.tier,
        threshold=pass_threshold(plan.tier),
        checks=tuple(PlannedCheck.of(check) for check in plan.checks),
        categories=tuple(category for category in Category if category in plan.categories),
        cpu_only=plan.cpu_only,
        failure_policy=planned.failure_policy,
        seed=planned.loaded.playbook.test_matrix.seed,
    )
