"""The sequential test of a cell: when it stops, and how seldom it is wrong."""

from __future__ import annotations

import random

import pytest

from pytest_aprqa.judge.early_stop import ERROR, sequential_test, stop_reason
from pytest_aprqa.judge.statistics import SprtDecision, lower_bound, sequential_lower_bound
from pytest_aprqa.words import Tier


@pytest.mark.parametrize("tier", [Tier.SMOKE, Tier.MVP, Tier.QUICK])
def test_a_tier_that_asks_little_asks_all_of_it(tier: Tier) -> None:
    assert sequential_test(tier) is None


@pytest.mark.parametrize(
    ("tier", "passes", "failures"), [(Tier.STANDARD, 16, 5), (Tier.DEEP, 55, 5)]
)
def test_a_cell_stops_after_so_many_passes_or_failures_alone(
    tier: Tier, passes: int, failures: int
) -> None:
    for passed, count in ((True, passes), (False, failures)):
        test = sequential_test(tier)
        assert test is not None
        for _ in range(count):
            assert stop_reason(test) == ""
            test = test.observe(passed)
        assert stop_reason(test)


def test_the_reason_says_what_is_certain_and_how() -> None:
    test = sequential_test(Tier.STANDARD)
    assert test is not None
    for _ in range(5):
        test = test.observe(False)
    assert stop_reason(test) == (
        "early stop: 0 of 5 questions of this cell passed, "
        "so its pass rate is below 0.85 with an error of 5%"
    )


@pytest.mark.parametrize("bad", [True, False])
def test_a_cell_at_either_rate_is_seldom_called_the_other(bad: bool) -> None:
    generator, wrong = random.Random(1), 0
    for _ in range(1000):
        test = sequential_test(Tier.DEEP)
        assert test is not None
        rate = test.bad if bad else test.good
        while test.decision is SprtDecision.CONTINUE:
            test = test.observe(generator.random() < rate)
        wrong += test.decision is (SprtDecision.GOOD if bad else SprtDecision.BAD)
    assert wrong / 1000 <= ERROR


def test_the_bound_for_a_run_that_may_stop_anywhere_holds_at_every_place() -> None:
    generator, rate, missed = random.Random(2), 0.9, 0
    for _ in range(200):
        passes, highest = 0, 0.0
        for asked in range(1, 121):
            passes += generator.random() < rate
            if asked % 5 == 0:
                highest = max(highest, sequential_lower_bound(passes, asked))
        missed += highest > rate
    assert missed / 200 <= 0.05


def test_the_bound_for_a_run_that_may_stop_anywhere_is_the_lower_one() -> None:
    assert sequential_lower_bound(0, 10) == 0.0
    for passes, asked in ((1, 1), (40, 40), (35, 40), (99, 100)):
        assert 0 < sequential_lower_bound(passes, asked) < lower_bound(passes, asked)


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="3 of 2"):
        sequential_lower_bound(3, 2)
