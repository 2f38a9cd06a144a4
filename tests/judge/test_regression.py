"""This run against the last one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pytest_aprqa.judge.performance import Measurement
from pytest_aprqa.judge.regression import judge_flips, judge_score, judge_throughput
from pytest_aprqa.words import Attribution, Outcome


@pytest.mark.parametrize(
    ("then", "now", "outcome"),
    [
        (900, 900, Outcome.CORROBORATED),
        (900, 950, Outcome.CORROBORATED),
        (900, 880, Outcome.CORROBORATED),
        (900, 879, Outcome.FALSIFIED),
        (math.nan, 900, Outcome.INCONCLUSIVE),
    ],
)
def test_a_score_may_drop_by_its_tolerance(then: float, now: float, outcome: Outcome) -> None:
    assert judge_score(then, now).outcome is outcome


def test_a_drop_can_be_charged_to_the_engine() -> None:
    judgement = judge_score(900, 500, attribution=Attribution.ENGINE)
    assert judgement.attribution is Attribution.ENGINE
    assert judgement.metrics == {"score_change": -400}


def rate(*samples: float) -> Measurement:
    return Measurement("decode", samples, "tokens_per_second")


THEN = rate(50.0, 51.0, 49.0, 50.0, 50.5)


@pytest.mark.parametrize(
    ("now", "outcome"),
    [
        (rate(50.0, 50.5, 49.5, 50.0), Outcome.CORROBORATED),
        (rate(44.0, 44.5, 43.5, 44.0), Outcome.CORROBORATED),
        (rate(30.0, 30.5, 29.5, 30.0), Outcome.FALSIFIED),
        (rate(40.0, 41.0, 39.0, 40.0), Outcome.INCONCLUSIVE),
        (rate(20.0, 60.0, 45.0), Outcome.INCONCLUSIVE),
        (rate(), Outcome.INCONCLUSIVE),
        (rate(math.nan), Outcome.INCONCLUSIVE),
    ],
)
def test_throughput_is_judged_by_the_interval_of_its_ratio(
    now: Measurement, outcome: Outcome
) -> None:
    assert judge_throughput(THEN, now).outcome is outcome


def test_another_machine_says_nothing_about_throughput() -> None:
    judgement = judge_throughput(THEN, rate(10.0, 10.0), same_machine=False)
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.attribution is Attribution.ENVIRONMENT


def test_single_values_are_compared_with_the_noise_they_may_have() -> None:
    assert judge_throughput(rate(50.0), rate(60.0)).outcome is Outcome.CORROBORATED
    assert judge_throughput(rate(50.0), rate(45.0)).outcome is Outcome.INCONCLUSIVE
    assert judge_throughput(rate(50.0), rate(20.0)).outcome is Outcome.FALSIFIED


def test_measurements_without_any_noise_have_an_exact_ratio() -> None:
    judgement = judge_throughput(rate(50.0, 50.0), rate(25.0, 25.0))
    assert judgement.outcome is Outcome.FALSIFIED
    assert judgement.metrics["throughput_ratio_low"] == pytest.approx(0.5)


def test_the_ratios_interval_is_welchs() -> None:
    from scipy.stats import ttest_ind

    now = rate(48.0, 47.0, 52.0)
    theirs = ttest_ind(np.log(now.samples), np.log(THEN.samples), equal_var=False)
    low, high = np.exp(theirs.confidence_interval(0.95))
    metrics = judge_throughput(THEN, now).metrics
    ours = (metrics["throughput_ratio_low"], metrics["throughput_ratio_high"])
    assert ours == pytest.approx((low, high))


def test_other_units_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="cannot be compared with seconds"):
        judge_throughput(THEN, Measurement("decode", (1.0,), "seconds"))


def flips(lost: int, won: int, same: int = 10) -> tuple[dict[str, bool], dict[str, bool]]:
    then = {f"lost-{i}": True for i in range(lost)} | {f"won-{i}": False for i in range(won)}
    now = {name: not passed for name, passed in then.items()}
    stayed = {f"same-{i}": i % 2 == 0 for i in range(same)}
    return then | stayed, now | stayed


@pytest.mark.parametrize(
    ("lost", "won", "outcome"),
    [
        (0, 0, Outcome.CORROBORATED),
        (0, 3, Outcome.CORROBORATED),
        (2, 2, Outcome.CORROBORATED),
        (1, 0, Outcome.INCONCLUSIVE),
        (4, 0, Outcome.INCONCLUSIVE),
        (5, 0, Outcome.FALSIFIED),
        (8, 1, Outcome.FALSIFIED),
        (8, 5, Outcome.INCONCLUSIVE),
    ],
)
def test_flips_are_judged_in_pairs(lost: int, won: int, outcome: Outcome) -> None:
    judgement = judge_flips(*flips(lost, won))
    assert judgement.outcome is outcome
    assert judgement.compared == {"answers": 10 + lost + won}


def test_lost_answers_are_named() -> None:
    judgement = judge_flips(*flips(7, 0))
    assert "lost-0, lost-1, lost-2, lost-3, lost-4, ..." in judgement.reason


def test_only_answers_of_both_runs_count() -> None:
    assert judge_flips({"a": True}, {"b": False}).outcome is Outcome.INCONCLUSIVE
    assert judge_flips({"a": True, "c": True}, {"a": True}).compared == {"answers": 1}


def test_a_run_without_any_verdict_has_no_score_to_compare() -> None:
    judgement = judge_score(1000, None)
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.attribution is Attribution.ENVIRONMENT
