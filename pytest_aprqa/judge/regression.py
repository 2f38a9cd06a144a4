"""REGR: this run against the last certificate of the same model."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from pytest_aprqa.judge.judgement import Judgement, corroborated, falsified, inconclusive
from pytest_aprqa.judge.performance import SINGLE_NOISE, Measurement
from pytest_aprqa.judge.statistics import Interval, mcnemar
from pytest_aprqa.words import Attribution

SCORE_TOLERANCE = 20.0
"""Points of MQS: what one crash that does not repeat costs."""

MIN_THROUGHPUT_RATIO = 0.8
"""Share of the earlier throughput below which a run is slower; machines drift by some percent."""


def judge_score(
    then: float,
    now: float | None,
    *,
    tolerance: float = SCORE_TOLERANCE,
    attribution: Attribution = Attribution.MODEL,
) -> Judgement:
    """Judge whether the score dropped.

    Args:
        then: MQS of the last certificate of the same tier, 0-1000.
        now: MQS of this run without the regression category, on the same plan; None when nothing
            came to a verdict, which says nothing about the model.
        tolerance: points it may drop.
        attribution: whose doing a drop is; ENGINE when the artifact has not changed.
    """
    if now is None:
        return inconclusive(
            f"The score was {then:g}, and no check of this run came to a verdict.",
            Attribution.ENVIRONMENT,
        )
    compared = {"scores": 2}
    if not (math.isfinite(then) and math.isfinite(now)):
        return inconclusive(f"The scores {then} and {now} cannot be compared.")
    reason = f"The score was {then:g} and is {now:g}."
    metrics = {"score_change": now - then}
    expected = f"at least {then - tolerance:g}"
    if now < then - tolerance:
        return falsified(reason, attribution, compared, expected=expected, metrics=metrics)
    return corroborated(reason, compared, expected=expected, metrics=metrics)


def judge_throughput(
    then: Measurement,
    now: Measurement,
    *,
    min_ratio: float = MIN_THROUGHPUT_RATIO,
    same_machine: bool = True,
) -> Judgement:
    """Judge whether throughput dropped beyond its noise.

    The ratio's 95 % interval must lie above `min_ratio` to corroborate and below it to falsify.

    Args:
        then: throughput at the last certificate, more is better.
        now: throughput of this run, same unit.
        min_ratio: least acceptable now / then.
        same_machine: whether both were measured on like machines; if not, nothing can be said.

    Raises:
        ValueError: the measurements have different units.
    """
    if then.unit != now.unit:
        raise ValueError(f"{then.unit} cannot be compared with {now.unit}.")
    compared = {"measurements": len(then.samples) + len(now.samples)}
    if not same_machine:
        return inconclusive(
            "The last certificate was measured on another machine.",
            Attribution.ENVIRONMENT,
            compared,
        )
    if not (then.valid and now.valid):
        return inconclusive(
            f"{now.name} was not measured both times.", Attribution.ENVIRONMENT, compared
        )
    if then == now:
        return corroborated(
            f"{now.name} is the earlier measurement itself, {now.mean:.4g} {now.unit}: nothing it "
            "follows from has changed.",
            compared,
        )
    ratio, interval = _ratio(then, now)
    reason = (
        f"{now.name} was {then.mean:.4g} and is {now.mean:.4g} {now.unit}: "
        f"ratio {ratio:.3f} {interval}."
    )
    expected = f"at least {min_ratio:g} of the earlier value"
    metrics = {
        "throughput_ratio": ratio,
        "throughput_ratio_low": interval.low,
        "throughput_ratio_high": interval.high,
    }
    if interval.high < min_ratio:
        return falsified(
            reason, Attribution.ENVIRONMENT, compared, expected=expected, metrics=metrics
        )
    if interval.low >= min_ratio:
        return corroborated(reason, compared, expected=expected, metrics=metrics)
    return inconclusive(
        f"{reason} The noise is too large to tell.",
        Attribution.ENVIRONMENT,
        compared,
        expected=expected,
        metrics=metrics,
    )


def _ratio(then: Measurement, now: Measurement) -> tuple[float, Interval]:
    """Return now / then of the geometric means with Welch's 95 % interval of their logarithms.

    Welch, "The generalization of Student's problem when several different population variances
    are involved", Biometrika 34 (1947).
    """
    from scipy.special import ndtri, stdtrit

    difference, variance, weight = 0.0, 0.0, 0.0
    for measurement, sign in ((then, -1), (now, 1)):
        logs = np.log(measurement.samples)
        n = len(logs)
        difference += sign * float(logs.mean())
        if n > 1:
            share = float(logs.var(ddof=1)) / n
            weight += share**2 / (n - 1)
        else:
            # The noise of a single value is assumed, so it costs no degrees of freedom.
            share = (SINGLE_NOISE / 1.96) ** 2
        variance += share
    if variance == 0:
        return math.exp(difference), Interval(math.exp(difference), math.exp(difference))
    quantile = stdtrit(variance**2 / weight, 0.975) if weight else ndtri(0.975)
    half = float(quantile) * math.sqrt(variance)
    return math.exp(difference), Interval(math.exp(difference - half), math.exp(difference + half))


def judge_flips(
    then: Mapping[str, bool],
    now: Mapping[str, bool],
    *,
    alpha: float = 0.05,
    attribution: Attribution = Attribution.MODEL,
) -> Judgement:
    """Judge whether answers flipped from right to wrong more than from wrong to right.

    Paired, by McNemar's exact one-sided test: totals can stay while answers change. Falsified at
    `alpha`, which takes five losses against no gain. Losses that outnumber the gains without
    reaching it are inconclusive, as few flips prove nothing either way.

    Args:
        then: whether each check passed at the last certificate, by its name.
        now: the same of this run; only checks in both count.
        alpha: probability of falsifying when nothing got worse.
        attribution: whose doing a loss is; ENGINE when the artifact has not changed.
    """
    common = sorted(then.keys() & now.keys())
    lost = [name for name in common if then[name] and not now[name]]
    won = [name for name in common if now[name] and not then[name]]
    compared = {"answers": len(common)}
    if not common:
        return inconclusive("No answer of the last certificate was asked again.", compared=compared)
    p_value = mcnemar(len(lost), len(won))
    named = f" (lost: {', '.join(lost[:5])}{', ...' * (len(lost) > 5)})" if lost else ""
    reason = (
        f"Of {len(common)} answers {len(lost)} flipped to wrong and {len(won)} to right{named}."
    )
    metrics = {"lost": float(len(lost)), "won": float(len(won)), "p_value": p_value}
    if p_value <= alpha:
        return falsified(reason, attribution, compared, metrics=metrics)
    if len(lost) > len(won):
        return inconclusive(
            f"{reason} Too few flips to tell a loss from chance (p = {p_value:.2g}).",
            compared=compared,
            metrics=metrics,
        )
    return corroborated(reason, compared, metrics=metrics)
