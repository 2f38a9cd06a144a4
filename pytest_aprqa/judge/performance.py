"""PERF: measurements with their noise, held against the playbook's bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean
from statistics import median as middle

from pytest_aprqa.judge.judgement import Judgement, corroborated, falsified, inconclusive
from pytest_aprqa.judge.statistics import (
    UNKNOWN,
    Interval,
    lower_bound,
    rate_exceeds,
    student_interval,
)
from pytest_aprqa.words import Attribution

SINGLE_NOISE = 0.2
"""Relative error assumed of a value that was measured once, such as a load time."""

CHANCE = 0.05
"""How likely an outcome may be by chance alone before it refutes a percentile."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Repeated values of one quantity.

    Attributes:
        name: what was measured ("decode", "peak_memory").
        samples: one value per repeat, without the warm-up.
        unit: in words ("seconds", "tokens_per_second", "mebibytes").
    """

    name: str
    samples: tuple[float, ...]
    unit: str

    @property
    def valid(self) -> bool:
        """Whether there are samples and all are positive and finite."""
        return bool(self.samples) and all(math.isfinite(x) and x > 0 for x in self.samples)

    @property
    def mean(self) -> float:
        return fmean(self.samples) if self.samples else math.nan

    @property
    def median(self) -> float:
        return middle(self.samples) if self.samples else math.nan

    @property
    def interval(self) -> Interval:
        """95 % interval of the mean by Student's t; of one sample the assumed noise either way."""
        if not self.samples:
            return UNKNOWN
        if len(self.samples) == 1:
            return Interval(self.mean * (1 - SINGLE_NOISE), self.mean * (1 + SINGLE_NOISE))
        return student_interval(self.samples)


def judge_bound(
    measurement: Measurement, *, minimum: float | None = None, maximum: float | None = None
) -> Judgement:
    """Judge a measurement against the playbook's bounds.

    Corroborated only when the whole 95 % interval keeps the bounds, falsified only when the whole
    of it breaks one, inconclusive when it straddles: a slow moment of the machine must not fail a
    model, nor a quick one pass it. Speed is a matter of model, engine and machine at once, and
    the same files may keep the bound elsewhere, so a miss is attributed to the environment. Without
    a bound a sound measurement is all that is asked for.

    Args:
        measurement: what was measured.
        minimum: least acceptable mean, in the measurement's unit.
        maximum: greatest acceptable mean.
    """
    compared = {"measurements": len(measurement.samples)}
    what = f"{measurement.name} {measurement.mean:.4g} {measurement.unit}"
    if not measurement.valid:
        return _not_measured(measurement)
    interval = measurement.interval
    metrics = {
        f"{measurement.name}_{measurement.unit}_mean": measurement.mean,
        f"{measurement.name}_{measurement.unit}_median": measurement.median,
        f"{measurement.name}_{measurement.unit}_low": interval.low,
        f"{measurement.name}_{measurement.unit}_high": interval.high,
    }
    if minimum is None and maximum is None:
        return corroborated(f"Measured {what}; no bound is set.", compared, metrics=metrics)
    low = -math.inf if minimum is None else minimum
    high = math.inf if maximum is None else maximum
    expected = " and ".join(
        f"{sign} {bound:g} {measurement.unit}"
        for sign, bound in (("at least", minimum), ("at most", maximum))
        if bound is not None
    )
    reason = f"Measured {what}, 95 % interval {interval} of {len(measurement.samples)} samples"
    if interval.high < low or interval.low > high:
        return falsified(
            f"{reason}, which breaks the bound.",
            Attribution.ENVIRONMENT,
            compared,
            expected=expected,
            metrics=metrics,
        )
    if interval.low >= low and interval.high <= high:
        return corroborated(
            f"{reason}, which keeps the bound.", compared, expected=expected, metrics=metrics
        )
    return inconclusive(
        f"{reason}, which straddles the bound: take more samples on a quiet machine.",
        Attribution.ENVIRONMENT,
        compared,
        expected=expected,
        metrics=metrics,
    )


def judge_percentile(measurement: Measurement, *, share: float, maximum: float) -> Judgement:
    """Judge whether a share of all values keeps a bound.

    A handful of samples cannot prove a percentile, but refute it: falsified when more of them lie
    beyond the bound than the binomial distribution lets happen once in twenty, corroborated
    otherwise, with the share that is proven. Inconclusive when not even all samples beyond the
    bound would refute it.

    Args:
        measurement: what was measured.
        share: of the values, 0-1, for instance 0.99.
        maximum: the bound, in the measurement's unit.
    """
    if not measurement.valid:
        return _not_measured(measurement)
    count = len(measurement.samples)
    compared = {"measurements": count}
    beyond = sum(sample > maximum for sample in measurement.samples)
    bound = f"{maximum:g} {measurement.unit}"
    expected = f"at most {bound} in {share:.0%} of all cases"
    said = (
        f"{beyond} of {count} took longer than {bound}, the longest {max(measurement.samples):.4g}"
    )
    if not rate_exceeds(count, count, 1 - share, CHANCE):
        return inconclusive(
            f"{said}; so few samples cannot refute the bound.",
            Attribution.ENVIRONMENT,
            compared,
            expected=expected,
        )
    if rate_exceeds(beyond, count, 1 - share, CHANCE):
        return falsified(
            f"{said}, more than chance explains.",
            Attribution.ENVIRONMENT,
            compared,
            expected=expected,
        )
    proven = lower_bound(count - beyond, count)
    return corroborated(
        f"{said}; proven at 95 % is that a share of {proven:.3f} keeps the bound.",
        compared,
        expected=expected,
    )


def _not_measured(measurement: Measurement) -> Judgement:
    return inconclusive(
        f"{measurement.name} could not be measured: {list(measurement.samples)} "
        f"{measurement.unit}.",
        Attribution.ENVIRONMENT,
        {"measurements": len(measurement.samples)},
    )
