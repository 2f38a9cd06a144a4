"""Bounds and tests against published values, scipy's own and brute force."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from pytest_aprqa.judge.statistics import (
    UNKNOWN,
    Sprt,
    SprtDecision,
    bootstrap_mean,
    clopper_pearson,
    holm,
    lower_bound,
    mcnemar,
    noise_floor,
    proven_pass_rate,
    rate_exceeds,
    student_interval,
    upper_bound,
    wilson,
)

counts = st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(
    ("passes", "n", "proven"),
    [(18, 18, 0.847), (27, 27, 0.895), (52, 52, 0.944), (59, 59, 0.950), (95, 100, 0.898)],
)
def test_a_pass_rate_is_proven_as_far_as_published_tables_say(
    passes: int, n: int, proven: float
) -> None:
    assert proven_pass_rate(passes, n) == pytest.approx(proven, abs=5e-4)


def test_nothing_proves_nothing() -> None:
    assert proven_pass_rate(0, 0) == 0
    assert proven_pass_rate(0, 50) == 0
    assert upper_bound(0, 0) == 1


@given(counts)
@settings(max_examples=40, deadline=None)
def test_one_sided_bound_is_where_the_binomial_tail_is_five_percent(
    counts: tuple[int, int],
) -> None:
    k, n = counts
    bound = lower_bound(k, n)
    tail = sum(math.comb(n, i) * bound**i * (1 - bound) ** (n - i) for i in range(k, n + 1))
    assert tail == pytest.approx(0.05 if k else 1.0, rel=1e-6)


@given(counts)
@settings(max_examples=40, deadline=None)
def test_two_sided_interval_is_scipys(counts: tuple[int, int]) -> None:
    k, n = counts
    theirs = binomtest(k, n).proportion_ci(0.95, method="exact")
    ours = clopper_pearson(k, n)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@given(counts)
@settings(max_examples=40, deadline=None)
def test_wilson_interval_is_scipys(counts: tuple[int, int]) -> None:
    k, n = counts
    theirs = binomtest(k, n).proportion_ci(0.95, method="wilson")
    ours = wilson(k, n)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_wilson_interval_of_nothing_is_everything() -> None:
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0, 1)


def test_impossible_counts_are_refused() -> None:
    for k, n in ((3, 2), (-1, 2)):
        with pytest.raises(ValueError, match="is not a share"):
            lower_bound(k, n)


@given(counts, st.floats(0.001, 0.5), st.sampled_from([0.05, 0.01, 0.001]))
@settings(max_examples=40, deadline=None)
def test_a_rate_exceeds_when_the_exact_binomial_test_says_so(
    counts: tuple[int, int], p0: float, alpha: float
) -> None:
    k, n = counts
    p_value = binomtest(k, n, p0, alternative="greater").pvalue
    if not math.isclose(p_value, alpha, rel_tol=1e-6):
        assert rate_exceeds(k, n, p0, alpha) == (k > 0 and p_value <= alpha)


@pytest.mark.parametrize(("worse", "better"), [(5, 0), (8, 1), (10, 2), (15, 5)])
def test_mcnemar_calls_the_published_flips_significant_at_five_percent(
    worse: int, better: int
) -> None:
    p_value = binomtest(worse, worse + better, alternative="greater").pvalue
    assert mcnemar(worse, better) == pytest.approx(p_value)
    assert p_value < 0.05


@pytest.mark.parametrize(("worse", "better"), [(0, 0), (3, 1), (2, 6), (7, 0)])
def test_mcnemar_counts_the_outcomes_that_are_at_least_as_bad(worse: int, better: int) -> None:
    flips = list(product((0, 1), repeat=worse + better))
    assert mcnemar(worse, better) == pytest.approx(sum(sum(f) >= worse for f in flips) / len(flips))


def test_holm_rejects_step_by_step() -> None:
    # Holm's own procedure: 0.01 <= 0.05/4, 0.013 <= 0.05/3, but 0.03 > 0.05/2 stops the rest.
    assert holm([0.04, 0.01, 0.013, 0.03]) == (False, True, True, False)
    assert holm([]) == ()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_bonferroni_and_no_correction(p_values: list[float]) -> None:
    for p, rejected in zip(p_values, holm(p_values), strict=True):
        if rejected:
            assert p <= 0.05
        else:
            assert p > 0.05 / len(p_values)


@pytest.mark.parametrize(
    ("bad", "good", "items"), [(0.90, 0.98, 35), (0.95, 0.99, 72), (0.80, 0.95, 18)]
)
def test_sequential_test_of_a_perfect_model_stops_at_the_published_item(
    bad: float, good: float, items: int
) -> None:
    test = Sprt(bad, good)
    while test.decision is SprtDecision.CONTINUE:
        test = test.observe(True)
    assert (test.decision, test.passes) == (SprtDecision.GOOD, items)


@pytest.mark.parametrize(("rate", "wrong"), [(0.80, SprtDecision.GOOD), (0.95, SprtDecision.BAD)])
def test_sequential_test_keeps_its_error_rates(rate: float, wrong: SprtDecision) -> None:
    rng = np.random.default_rng(7)
    mistakes = 0
    for _ in range(400):
        test = Sprt(0.80, 0.95)
        while test.decision is SprtDecision.CONTINUE:
            test = test.observe(bool(rng.random() < rate))
        mistakes += test.decision is wrong
    # Wald bounds each error by 0.05 / 0.95; 400 runs may show a few more by chance.
    assert lower_bound(mistakes, 400, 0.99) <= 0.05 / 0.95


@pytest.mark.parametrize("rates", [(0.9, 0.8), (0.0, 0.5), (0.5, 1.0)])
def test_sequential_test_refuses_impossible_rates(rates: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="bad < good"):
        Sprt(*rates)


def test_sequential_test_refuses_impossible_error_rates() -> None:
    with pytest.raises(ValueError, match="alpha and beta"):
        Sprt(0.8, 0.9, alpha=0.0)


def test_students_interval_has_the_textbook_width() -> None:
    interval = student_interval([1.0, 2.0, 3.0])
    assert interval.high - 2.0 == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert student_interval([1.0]) == UNKNOWN


def correlated(rng: np.random.Generator, n: int) -> np.ndarray:
    """Heavy-tailed positive values of mean 1 that resemble KL along a text."""
    # An autoregressive state: the convolution of noise with a decaying kernel of unit energy.
    kernel = 0.5 ** np.arange(12)
    state = np.convolve(rng.normal(size=n + 11), kernel / np.linalg.norm(kernel), mode="valid")
    return np.exp(state - 0.5)


def test_bootstrap_covers_the_mean_of_correlated_heavy_tailed_values() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(150):
        interval = bootstrap_mean([correlated(rng, 128) for _ in range(4)], resamples=400)
        covered += interval.low <= 1 <= interval.high
    # Nominal 0.95; skew and correlation cost some, independence assumed would give 0.78.
    assert covered / 150 >= 0.88


def test_bootstrap_is_wider_than_independence_would_have_it() -> None:
    values = correlated(np.random.default_rng(3), 512)
    blocks, independent = bootstrap_mean([values]), bootstrap_mean([values], block=1)
    assert blocks.high - blocks.low > 1.2 * (independent.high - independent.low)


def test_bootstrap_of_the_same_data_is_the_same() -> None:
    values = [np.arange(40.0), np.arange(7.0)]
    assert bootstrap_mean(values) == bootstrap_mean(values)
    assert bootstrap_mean(values) != bootstrap_mean(values, seed=1)


@given(st.lists(st.lists(st.floats(-100, 100), max_size=30).map(np.array), min_size=1, max_size=5))
@settings(max_examples=50, deadline=None)
def test_bootstrap_interval_lies_within_the_values_around_their_mean(
    sequences: list[np.ndarray],
) -> None:
    interval = bootstrap_mean(sequences, resamples=100)
    if sum(map(len, sequences)) < 2:
        assert interval == UNKNOWN
    elif interval != UNKNOWN:
        values = np.concatenate(sequences)
        spread = np.ptp(values) + 1e-9
        assert values.mean() - spread <= interval.low <= interval.high <= values.mean() + spread


def test_bootstrap_of_a_single_block_knows_nothing() -> None:
    assert bootstrap_mean([np.ones(9)], block=5) == UNKNOWN


def test_noise_floor_is_the_largest_change_between_repeats() -> None:
    assert noise_floor([[1.0, 2.0], [1.5, 2.1], [0.8, 2.0]]) == pytest.approx(0.7)


@pytest.mark.parametrize("repeats", [[[1.0]], [[1.0], [1.0, 2.0]], [[], []]])
def test_noise_floor_needs_comparable_repeats(repeats: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="two or more repeats"):
        noise_floor(repeats)
