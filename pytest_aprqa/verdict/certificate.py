"""The certificate: what the score, the gateways and the gaps in the run add up to."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.gateways import GatewayResult
from pytest_aprqa.verdict.mqs import CategoryScore, Grade, Mqs
from pytest_aprqa.verdict.plan import RunPlan
from pytest_aprqa.verdict.provenance import ArtifactRecord, provenance_verified
from pytest_aprqa.verdict.spared import is_spared
from pytest_aprqa.words import GateSeverity, Gateway, Outcome, Status, Tier

PASS_THRESHOLD = 700
CERTIFIED_THRESHOLD = 850
DEEP_THRESHOLD = 900
CONFIDENCE = 0.95
SERVER = "server"
"""Key of the observation in the record of a check that failed to ask the server of `--base-url`."""


def pass_threshold(tier: Tier) -> int:
    """Return the least MQS with which a run of a tier ends well."""
    return DEEP_THRESHOLD if tier is Tier.DEEP else PASS_THRESHOLD


def certified_threshold(tier: Tier) -> int:
    """Return the least MQS with which a complete run of a tier is CERTIFIED."""
    return DEEP_THRESHOLD if tier is Tier.DEEP else CERTIFIED_THRESHOLD


class Proof(BaseModel):
    """What the answers prove, whatever the score says.

    The trials are the distinct prompts, not the checks: the cells of one prompt share the model,
    so they are no independent trials. A prompt counts as passed when it passed in every cell.

    Attributes:
        checks, passed_checks: checks with a prompt that came to a verdict, and those that passed.
        prompts, passed_prompts: the distinct prompts among them.
        spared: checks that an early stop left out.
        lower_bound: one-sided 95 % lower bound of the pass rate: exact (Clopper-Pearson), or when
            a sequential test chose how many prompts there are, the bound that holds whatever it
            chose.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    checks: int
    passed_checks: int
    prompts: int
    passed_prompts: int
    spared: int = 0
    lower_bound: float

    def __str__(self) -> str:
        if not self.prompts:
            return "nothing: no prompt was answered and judged"
        held = "" if self.passed_prompts == self.prompts else f" ({self.passed_prompts} everywhere)"
        prompts = "prompt" if self.prompts == 1 else "prompts"
        spared = f", {self.spared} checks spared by an early stop" if self.spared else ""
        return (
            f"{self.passed_checks}/{self.checks} over {self.prompts} distinct {prompts}{held}: "
            f"pass rate >= {self.lower_bound:.3f} at 95 %{spared}"
        )


class Certificate(BaseModel):
    """The answer to "may it ship?".

    Attributes:
        score: raw MQS, 0-1000.
        normalised: on 0-100; the grade is read from it.
        threshold: the MQS this run had to reach.
        reason: one line that says why the status is not CERTIFIED; "" when it is.
        cpu_only: GPU cells were not part of the plan.
        provenance_verified: every artifact leads back to SafeTensors whose published sha256 it
            has, and they were found sound; never true for a model that exists only as GGUF.
        proof: what the answers prove about the pass rate.
        reused: names of the checks whose result is that of an earlier run.
        exit_ok: the run reaches its tier's threshold with every gateway corroborated, and the
            server that was to be asked gave an answer to everything.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model_id: str
    family: str = ""
    tier: Tier
    status: Status
    score: int
    normalised: float
    grade: Grade
    threshold: int
    reason: str = ""
    gateways: dict[Gateway, GatewayResult]
    cpu_only: bool = False
    provenance_verified: bool = False
    proof: Proof
    reused: tuple[str, ...] = ()
    exit_ok: bool

    @property
    def reuse(self) -> str:
        """How many results are those of earlier runs, in words; "" when none is."""
        if not self.reused:
            return ""
        count = f"{len(self.reused)} results" if len(self.reused) > 1 else "1 result"
        return f"{count} of earlier runs with the same files, engines and machine"

    @property
    def proven(self) -> str:
        return str(self.proof)


def certify(
    plan: RunPlan,
    records: Sequence[Evidence],
    mqs: Mqs,
    *,
    artifacts: Mapping[str, ArtifactRecord] | None = None,
    failure: str = "",
) -> Certificate:
    """Return the certificate of a run.

    Args:
        plan: what was to be done.
        records: what was done; the records `mqs` was computed from.
        mqs: their score.
        artifacts: what was tested, for the provenance.
        failure: why the run could not be made, or "".
    """
    status, reason = _status(plan, records, mqs, failure)
    sound = mqs.gateways[Gateway.G0].outcome.passes
    return Certificate(
        model_id=plan.model_id,
        family=plan.family,
        tier=plan.tier,
        status=status,
        score=mqs.raw,
        normalised=mqs.normalised,
        grade=mqs.grade,
        threshold=plan.threshold,
        reason=reason,
        gateways=mqs.gateways,
        cpu_only=plan.cpu_only,
        provenance_verified=sound and provenance_verified(artifacts or {}),
        proof=prove(plan, records),
        reused=tuple(record.check for record in records if record.reused),
        exit_ok=(
            status in (Status.CERTIFIED, Status.PROVISIONAL, Status.PARTIAL)
            and mqs.gateways_hold
            and mqs.raw >= plan.threshold
            and not any(_is_unanswered(record) for record in records)
        ),
    )


def _status(
    plan: RunPlan, records: Sequence[Evidence], mqs: Mqs, failure: str
) -> tuple[Status, str]:
    if failure:
        return Status.FAIL, failure
    if not any(record.outcome.executed for record in records):
        return Status.FAIL, f"no check came to a verdict: {_commonest_reason(records)}"
    for result in mqs.gateways.values():
        if result.outcome is Outcome.FALSIFIED:
            return Status.BLOCKED, f"{result.gateway} falsified: {result.reason}"
    failed = [record for record in records if record.outcome.fails]
    for record in failed:
        if record.severity is GateSeverity.P0:
            return Status.BLOCKED, f"{record.check}: {record.reason}"
    if failed and mqs.measured < PASS_THRESHOLD:
        what = "MQS" if mqs.measured == mqs.raw else "the MQS of what ran,"
        return Status.BLOCKED, _low_score(f"{what} {mqs.measured}", PASS_THRESHOLD, failed)
    if gap := _gap(plan, records, mqs):
        return Status.PARTIAL, gap + _unanswered(records)
    needed = certified_threshold(plan.tier)
    for record in failed:
        if record.severity is GateSeverity.P1:
            return Status.PROVISIONAL, f"{record.check}: {record.reason}"
    if mqs.raw >= needed:
        return Status.CERTIFIED, ""
    return Status.PROVISIONAL, _low_score(f"MQS {mqs.raw}", needed, failed)


def _is_unanswered(record: Evidence) -> bool:
    """Whether the server a user named left a check without verdict: they asked to know of it."""
    return record.outcome is Outcome.INCONCLUSIVE and SERVER in record.observation


def _unanswered(records: Sequence[Evidence]) -> str:
    count = sum(map(_is_unanswered, records))
    return f"; the named server left {count} checks open, so the run fails" if count else ""


def _low_score(score: str, needed: int, failed: Sequence[Evidence]) -> str:
    count = f"{len(failed)} checks" if len(failed) != 1 else "1 check"
    first = f", the first {failed[0].check}: {failed[0].reason}" if failed else ""
    return f"{score} is below {needed}: {count} failed{first}"


def _gap(plan: RunPlan, records: Sequence[Evidence], mqs: Mqs) -> str:
    """Say which part of the plan has no verdict, or return an empty string."""
    without = [r for r in records if not r.outcome.executed and not is_spared(r)]
    missing = len(plan.checks) - len(records) + len(without)
    empty = [category for category in mqs.categories if not category.executed]
    if missing:
        measured = f"no verdict on {missing} of {len(plan.checks)} checks"
        return f"{measured}: {_commonest_reason(without)}{_empty_categories(empty)}"
    if empty:
        return f"nothing was planned that could be measured{_empty_categories(empty)}"
    for result in mqs.gateways.values():
        if not result.outcome.passes:
            return f"{result.gateway} is not proven: {result.reason}"
    return ""


def _empty_categories(empty: Sequence[CategoryScore]) -> str:
    names = ", ".join(category.category for category in empty)
    return f"; nothing measured in {names}" if names else ""


def _commonest_reason(records: Iterable[Evidence]) -> str:
    reasons = Counter(record.reason or record.outcome.value for record in records)
    return str(reasons.most_common(1)[0][0]) if reasons else "not run"


def prove(plan: RunPlan, records: Iterable[Evidence]) -> Proof:
    """Return what the answers prove about the pass rate over distinct prompts."""
    from pytest_aprqa.judge.statistics import lower_bound, sequential_lower_bound

    spared = 0
    digests = {check.check: check.prompt_digest for check in plan.checks if check.category}
    verdicts: defaultdict[str, list[bool]] = defaultdict(list)
    for record in records:
        spared += is_spared(record)
        if record.outcome.executed and (asked := digests.get(record.check)):
            verdicts[asked].append(record.outcome.passes)
    passed = sum(map(all, verdicts.values()))
    bound = sequential_lower_bound if spared else lower_bound
    return Proof(
        checks=sum(map(len, verdicts.values())),
        passed_checks=sum(map(sum, verdicts.values())),
        prompts=len(verdicts),
        passed_prompts=passed,
        spared=spared,
        lower_bound=bound(passed, len(verdicts), CONFIDENCE),
    )
