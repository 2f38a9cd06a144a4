"""Exact bounds and tests on counts, and intervals of means whose values are correlated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a value lies with the stated confidence; infinite ends mean that nothing is known."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"[{self.low:.4g}, {self.high:.4g}]"


UNKNOWN = Interval(-math.inf, math.inf)


def _check_counts(k: int, n: int) -> None:
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is not a share: expected 0 <= k <= n.")


def lower_bound(k: int, n: int, confidence: float = 0.95) -> float:
    """Return the exact one-sided lower bound of a rate of which k of n were seen.

    Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the
    binomial", Biometrika 26 (1934). Trials must be independent: count distinct prompts, not cells.

    Raises:
        ValueError: k is not within 0..n.
    """
    _check_counts(k, n)
    if k == 0:
        return 0.0
    if k == n:
        return float((1 - confidence) ** (1 / n))  # its closed form: nothing failed, as a rule
    from scipy.special import betaincinv

    return float(betaincinv(k, n - k + 1, 1 - confidence))


def upper_bound(k: int, n: int, confidence: float = 0.95) -> float:
    """Return the exact one-sided upper bound of a rate; see `lower_bound`."""
    return 1.0 - lower_bound(n - k, n, confidence)


def clopper_pearson(k: int, n: int, confidence: float = 0.95) -> Interval:
    """Return the exact two-sided interval of a rate of which k of n were seen."""
    one_sided = (1 + confidence) / 2
    return Interval(lower_bound(k, n, one_sided), upper_bound(k, n, one_sided))


def proven_pass_rate(passes: int, n: int) -> float:
    """Return the pass rate that n distinct prompts prove with 95 % confidence.

    18 of 18 proves 0.847, 59 of 59 proves 0.95, nothing proves 0.
    """
    return lower_bound(passes, n)


def sequential_lower_bound(k: int, n: int, confidence: float = 0.95) -> float:
    """Return the one-sided lower bound of a rate that holds however it was decided to stop at n.

    The rates under which the data are less than 1 - confidence times as likely as under a uniform
    prior are ruled out: Robbins, "Statistical methods related to the law of the iterated
    logarithm", Ann. Math. Stat. 41 (1970), with Ville's inequality. It is lower than
    `lower_bound`, which is the price of looking after every item.

    Raises:
        ValueError: k is not within 0..n.
    """
    from scipy.optimize import brentq
    from scipy.special import betaln

    _check_counts(k, n)
    if k == 0:
        return 0.0
    limit = float(betaln(k + 1, n - k + 1)) + math.log(1 - confidence)

    def excess(rate: float) -> float:
        lost = (n - k) * math.log1p(-rate) if k < n else 0.0
        return k * math.log(rate) + lost - limit

    return float(brentq(excess, math.exp(limit / k) / 2, k / n))


def wilson(k: int, n: int, confidence: float = 0.95) -> Interval:
    """Return the score interval of a rate, for display; certificates use `clopper_pearson`.

    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
    """
    from scipy.special import ndtri

    _check_counts(k, n)
    if n == 0:
        return Interval(0.0, 1.0)
    z = float(ndtri((1 + confidence) / 2))
    rate, spread = k / n, z * z / n
    centre = (rate + spread / 2) / (1 + spread)
    half = z * math.sqrt(rate * (1 - rate) / n + spread / (4 * n)) / (1 + spread)
    return Interval(
        0.0 if k == 0 else max(0.0, centre - half), 1.0 if k == n else min(1.0, centre + half)
    )


def _upper_tail(k: int, n: int, p: float) -> float:
    """Return P(X >= k | n, p) of the binomial distribution, as the incomplete beta integral."""
    from scipy.special import betainc

    _check_counts(k, n)
    return 1.0 if k == 0 else float(betainc(k, n - k + 1, p))


def rate_exceeds(k: int, n: int, p0: float, alpha: float) -> bool:
    """Return whether k of n is more than a rate of p0 explains: P(X >= k | n, p0) <= alpha.

    Exact upper tail of the binomial distribution. Never true for k = 0.
    """
    return k > 0 and _upper_tail(k, n, p0) <= alpha


def mcnemar(worse: int, better: int) -> float:
    """Return the one-sided exact p-value that a change made things worse.

    `worse` items passed before and fail now, `better` the other way round; items that did not
    change say nothing. McNemar, Psychometrika 12 (1947), with the binomial instead of chi-square.
    """
    return _upper_tail(worse, worse + better, 0.5)


def holm(p_values: Sequence[float], alpha: float = 0.05) -> tuple[bool, ...]:
    """Return which hypotheses are rejected at a family-wise error rate of alpha.

    Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Stat. 6 (1979).
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    rejected = [False] * len(p_values)
    for rank, index in enumerate(order):
        if p_values[index] > alpha / (len(p_values) - rank):
            break
        rejected[index] = True
    return tuple(rejected)


class SprtDecision(StrEnum):
    """What a sequential test says so far."""

    CONTINUE = "continue"
    GOOD = "good"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Sprt:
    """Wald's sequential probability ratio test of a pass rate: stop as soon as it is certain.

    Wald, "Sequential tests of statistical hypotheses", Ann. Math. Stat. 16 (1945). Looking after
    every item costs nothing, unlike repeating a test of fixed size.

    Attributes:
        bad: pass rate of a model that must not pass.
        good: pass rate of a model that should pass, greater than `bad`.
        alpha: highest probability of calling a bad model good.
        beta: highest probability of calling a good model bad.
        passes, failures: what was seen.
    """

    bad: float
    good: float
    alpha: float = 0.05
    beta: float = 0.05
    passes: int = 0
    failures: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.bad < self.good < 1:
            raise ValueError(f"Rates must satisfy 0 < bad < good < 1: {self.bad}, {self.good}.")
        if not (0 < self.alpha < 0.5 and 0 < self.beta < 0.5):
            raise ValueError("Error probabilities alpha and beta must lie between 0 and 0.5.")

    def observe(self, passed: bool) -> Sprt:
        """Return the test with one more item seen."""
        return replace(self, passes=self.passes + passed, failures=self.failures + (not passed))

    @property
    def log_ratio(self) -> float:
        """Log-likelihood of `good` over `bad`, in nats."""
        gain = math.log(self.good / self.bad)
        loss = math.log((1 - self.good) / (1 - self.bad))
        return self.passes * gain + self.failures * loss

    @property
    def decision(self) -> SprtDecision:
        if self.log_ratio >= math.log((1 - self.beta) / self.alpha):
            return SprtDecision.GOOD
        if self.log_ratio <= math.log(self.beta / (1 - self.alpha)):
            return SprtDecision.BAD
        return SprtDecision.CONTINUE


def student_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Return Student's interval of the mean of independent values; unknown below two values."""
    from scipy.special import stdtrit

    if len(values) < 2:
        return UNKNOWN
    sample = np.asarray(values, dtype=np.float64)
    half = float(stdtrit(len(sample) - 1, (1 + confidence) / 2)) * float(
        sample.std(ddof=1) / math.sqrt(len(sample))
    )
    return Interval(float(sample.mean()) - half, float(sample.mean()) + half)


def bootstrap_mean(
    sequences: Sequence[Floats],
    *,
    block: int | None = None,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 42,
) -> Interval:
    """Return the interval of the mean of values that are correlated along each sequence.

    Moving blocks: windows of `block` neighbours are drawn with replacement and never cross from
    one sequence to the next (Kuensch, Ann. Stat. 17, 1989). The block is n^(1/3) long unless
    given (Hall, Horowitz and Jing, Biometrika 82, 1995). The percentiles are widened for few
    blocks as Hesterberg's "expanded percentile" does (The American Statistician 69, 2015,
    section 4.5). Fewer than two blocks of data tell nothing.

    Args:
        sequences: one array of values per sequence; lengths may differ.
        block: length of a window.
        confidence: of the two-sided interval.
        resamples: how many means are drawn.
        seed: of the draws; the same data give the same interval.
    """
    from scipy.special import ndtr, stdtrit

    filled = [np.asarray(values, dtype=np.float64) for values in sequences if len(values)]
    total = sum(len(values) for values in filled)
    if total < 2:
        return UNKNOWN
    length = block or max(1, round(total ** (1 / 3)))
    blocks = total // length
    if blocks < 2:
        return UNKNOWN
    sums, sizes = _windows(filled, length)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(sums), size=(resamples, blocks))
    means = sums[drawn].sum(1) / sizes[drawn].sum(1)
    mean = sum(float(values.sum()) for values in filled) / total
    # Windows see the ends of a sequence less often than its middle, so the draws are recentred.
    means += mean - means.mean()
    quantile = stdtrit(blocks - 1, (1 - confidence) / 2)
    tail = float(ndtr(math.sqrt(blocks / (blocks - 1)) * quantile))
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(low), float(high))


def _windows(sequences: Sequence[Floats], length: int) -> tuple[Floats, Floats]:
    """Return sum and size of every window; a sequence shorter than a window is one itself."""
    sums: list[Floats] = []
    sizes: list[Floats] = []
    for values in sequences:
        size = min(length, len(values))
        running = np.concatenate(([0.0], np.cumsum(values)))
        sums.append(running[size:] - running[:-size])
        sizes.append(np.full(len(sums[-1]), float(size)))
    return np.concatenate(sums), np.concatenate(sizes)


def noise_floor(repeats: Sequence[Sequence[float]]) -> float:
    """Return the largest change of any item between repeats of the same measurement.

    Args:
        repeats: at least two rows, one per repeat, of the same items in the same order.

    Raises:
        ValueError: fewer than two repeats, no items, or rows of different lengths.
    """
    if len(repeats) < 2 or len({len(row) for row in repeats}) != 1 or not repeats[0]:
        raise ValueError("A noise floor needs two or more repeats of the same items.")
    return float(np.ptp(np.asarray(repeats, dtype=np.float64), axis=0).max())
