"""Compare this run with the last certificate of the same model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pytest_aprqa.judge.judgement import Judgement, inconclusive
from pytest_aprqa.judge.performance import Measurement
from pytest_aprqa.judge.regression import judge_flips, judge_score, judge_throughput
from pytest_aprqa.playbook.check import Check
from pytest_aprqa.run.environment import environment_of
from pytest_aprqa.run.observed import Observed
from pytest_aprqa.run.so_far import so_far
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.mqs import Mqs, score_records
from pytest_aprqa.verdict.plan import RunPlan
from pytest_aprqa.verdict.record import Run
from pytest_aprqa.words import Attribution, Category, Outcome

if TYPE_CHECKING:
    from pytest_aprqa.run.laboratory import Laboratory

DECODE_RATE = "decode-rate"


def run(check: Check, laboratory: Laboratory) -> Observed:
    """Hold what this run has found so far against the last certificate."""
    then = laboratory.previous
    now = so_far(laboratory)
    if then is None or now is None:
        return Observed(inconclusive("there is no earlier certificate to compare with"))
    compare = _COMPARISONS[check.subject]
    return Observed(
        judgement=compare(then, now.plan, now.records),
        observation={"previous_run": then.run_id, "previous_finished": then.finished},
    )


def _score(then: Run, plan: RunPlan, records: Sequence[Evidence]) -> Judgement:
    """Compare the scores of both runs over the categories they share, regression left out."""
    ours, theirs = _without_regression(plan), _without_regression(then.plan)
    now = score_records(ours, [r for r in records if r.category is not Category.REGR])
    before = score_records(theirs, [r for r in then.records if r.category is not Category.REGR])
    measured = now.measured if _says_something(now) else None
    return judge_score(before.measured, measured, attribution=_whose(then, records))


def _says_something(score: Mqs) -> bool:
    """Whether a score rests on a verdict: 0 is also what nothing comes to."""
    failed = any(g.outcome is Outcome.FALSIFIED for g in score.gateways.values())
    return failed or any(category.executed for category in score.categories)


def _without_regression(plan: RunPlan) -> RunPlan:
    return plan.model_copy(
        update={
            "checks": tuple(c for c in plan.checks if c.category is not Category.REGR),
            "categories": tuple(c for c in plan.categories if c is not Category.REGR),
        }
    )


def _throughput(then: Run, plan: RunPlan, records: Sequence[Evidence]) -> Judgement:
    """Compare the decode rate of the first cell that both runs measured."""
    before = _rates(then.records)
    for check, now in _rates(records).items():
        if check in before:
            same = _machine(then) == _machine_of(records)
            return judge_throughput(before[check], now, same_machine=same)
    return inconclusive("no cell has a decode rate in both runs")


def _rates(records: Sequence[Evidence]) -> dict[str, Measurement]:
    return {
        record.check: Measurement(
            "decode", tuple(record.observation["samples"]), record.observation["unit"]
        )
        for record in records
        if record.subject == DECODE_RATE and record.outcome.executed
    }


def _machine(run: Run) -> tuple[str, int]:
    return run.environment.cpu, run.environment.cores


def _machine_of(records: Sequence[Evidence]) -> tuple[str, int]:
    here = environment_of(records, command="")
    return here.cpu, here.cores


def _flips(then: Run, plan: RunPlan, records: Sequence[Evidence]) -> Judgement:
    """Compare which answers were right."""
    return judge_flips(_answers(then.records), _answers(records), attribution=_whose(then, records))


def _answers(records: Sequence[Evidence]) -> dict[str, bool]:
    return {
        record.check: record.outcome.passes
        for record in records
        if record.category is Category.QUAL and record.outcome.executed
    }


def _whose(then: Run, records: Sequence[Evidence]) -> Attribution:
    """Say whose doing a change is: the engine's when the same artifacts were tested."""
    before = {artifact.digest for artifact in then.artifacts.values()}
    now = {record.artifact_digest for record in records if record.artifact_digest}
    return Attribution.ENGINE if now <= before else Attribution.MODEL


_COMPARISONS: dict[str, Callable[[Run, RunPlan, Sequence[Evidence]], Judgement]] = {
    "score-regression": _score,
    "throughput-regression": _throughput,
    "answer-flips": _flips,
}
