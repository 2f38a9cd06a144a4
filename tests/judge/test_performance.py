"""Measurements and bounds."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aprqa.judge.performance import Measurement, judge_bound, judge_percentile
from pytest_aprqa.words import Attribution, Outcome


def rate(*samples: float) -> Measurement:
    return Measurement("decode", samples, "tokens_per_second")


STEADY = rate(50.0, 51.0, 49.0, 50.0, 50.5)


def test_a_measurement_without_bound_is_corroborated_as_measured() -> None:
    judgement = judge_bound(STEADY)
    assert judgement.outcome is Outcome.CORROBORATED
    assert judgement.compared == {"measurements": 5}
    assert "no bound is set" in judgement.reason
    assert judgement.metrics["decode_tokens_per_second_mean"] == pytest.approx(50.1)
    assert judgement.metrics["decode_tokens_per_second_median"] == 50


@pytest.mark.parametrize(
    ("minimum", "maximum", "outcome"),
    [
        (40, None, Outcome.CORROBORATED),
        (None, 60, Outcome.CORROBORATED),
        (40, 60, Outcome.CORROBORATED),
        (60, None, Outcome.FALSIFIED),
        (None, 40, Outcome.FALSIFIED),
        (60, 70, Outcome.FALSIFIED),
        (50, None, Outcome.INCONCLUSIVE),
        (None, 50, Outcome.INCONCLUSIVE),
        (40, 50, Outcome.INCONCLUSIVE),
    ],
)
def test_a_bound_is_judged_by_the_whole_interval(
    minimum: float | None, maximum: float | None, outcome: Outcome
) -> None:
    assert judge_bound(STEADY, minimum=minimum, maximum=maximum).outcome is outcome


def test_noise_makes_a_bound_undecidable_that_the_mean_alone_would_decide() -> None:
    noisy = rate(20.0, 80.0, 50.0)
    assert judge_bound(noisy, minimum=40).outcome is Outcome.INCONCLUSIVE
    assert judge_bound(STEADY, minimum=40).outcome is Outcome.CORROBORATED


def test_a_single_value_decides_only_what_lies_beyond_the_noise_it_may_have() -> None:
    once = Measurement("load", (10.0,), "seconds")
    assert judge_bound(once, maximum=15).outcome is Outcome.CORROBORATED
    assert judge_bound(once, maximum=11).outcome is Outcome.INCONCLUSIVE
    assert judge_bound(once, maximum=5).outcome is Outcome.FALSIFIED


def test_a_missed_bound_is_charged_to_the_environment() -> None:
    judgement = judge_bound(STEADY, minimum=100)
    assert judgement.attribution is Attribution.ENVIRONMENT
    assert judgement.expected == "at least 100 tokens_per_second"


@pytest.mark.parametrize("samples", [(), (math.nan,), (1.0, math.inf), (0.0,), (5.0, -1.0)])
def test_what_could_not_be_measured_is_inconclusive(samples: tuple[float, ...]) -> None:
    for bound in (None, 1.0):
        judgement = judge_bound(rate(*samples), minimum=bound)
        assert judgement.outcome is Outcome.INCONCLUSIVE


@given(st.lists(st.floats(0.1, 1e6), min_size=1, max_size=20))
def test_the_interval_contains_the_mean(samples: list[float]) -> None:
    measurement = rate(*samples)
    slack = 1e-9 * measurement.mean
    assert measurement.interval.low - slack <= measurement.mean
    assert measurement.mean <= measurement.interval.high + slack


@pytest.mark.parametrize(
    ("beyond", "count", "share", "outcome"),
    [
        (0, 10, 0.99, Outcome.CORROBORATED),
        (1, 10, 0.99, Outcome.CORROBORATED),  # 0.096 by chance
        (2, 10, 0.99, Outcome.FALSIFIED),
        (1, 1, 0.99, Outcome.FALSIFIED),
        (5, 10, 0.5, Outcome.CORROBORATED),
        (9, 10, 0.5, Outcome.FALSIFIED),
        (5, 5, 0.5, Outcome.FALSIFIED),
        (4, 4, 0.5, Outcome.INCONCLUSIVE),
        (0, 4, 0.5, Outcome.INCONCLUSIVE),
    ],
)
def test_a_percentile_is_refuted_by_more_than_chance(
    beyond: int, count: int, share: float, outcome: Outcome
) -> None:
    samples = (3.0,) * beyond + (1.0,) * (count - beyond)
    judged = judge_percentile(Measurement("generation", samples, "seconds"), share=share, maximum=2)
    assert judged.outcome is outcome
    assert judged.compared == {"measurements": count}
    assert f"{beyond} of {count} took longer than 2 seconds" in judged.reason


def test_a_percentile_says_what_is_proven() -> None:
    samples = Measurement("generation", (1.0,) * 10, "seconds")
    assert "a share of 0.741" in judge_percentile(samples, share=0.99, maximum=2).reason
    unmeasured = Measurement("generation", (math.nan,), "seconds")
    assert judge_percentile(unmeasured, share=0.99, maximum=2).outcome is Outcome.INCONCLUSIVE
