"""How faithfully an artifact reproduces its reference: teacher-forced log-probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pytest_aprqa.judge.budget import Budget
from pytest_aprqa.judge.judgement import Judgement, corroborated, falsified, inconclusive
from pytest_aprqa.judge.kl import kl_by_position
from pytest_aprqa.judge.statistics import (
    Floats,
    Interval,
    bootstrap_mean,
    clopper_pearson,
)
from pytest_aprqa.observation import TokenScores
from pytest_aprqa.words import Attribution

KL_BUDGET = "kl_budget_nats"
"""The metric that says what the mean divergence may be."""


@dataclass(frozen=True, slots=True)
class Place:
    """One scored position: which sequence, and which of its tokens was to be predicted."""

    sequence: int
    token: int

    def __str__(self) -> str:
        return f"sequence {self.sequence}, token {self.token}"


@dataclass(frozen=True, slots=True)
class TopChange:
    """A position where the two sides prefer different tokens.

    Attributes:
        place: where.
        reference_id: the reference's most probable token.
        artifact_id: the artifact's.
        reference_logprob: of the reference's choice, by the reference.
        artifact_logprob: of the artifact's choice, by the artifact.
        margin: nats by which the gap between the two tokens moved, at least.
    """

    place: Place
    reference_id: int
    artifact_id: int
    reference_logprob: float
    artifact_logprob: float
    margin: float

    def __str__(self) -> str:
        return (
            f"{self.place}: reference prefers {self.reference_id} ({self.reference_logprob:.3f}), "
            f"artifact {self.artifact_id} ({self.artifact_logprob:.3f}), margin {self.margin:.3f}"
        )


@dataclass(frozen=True, slots=True)
class Fidelity:
    """What was measured over all scored positions of all sequences.

    Attributes:
        positions: how many.
        kl: mean KL(reference || artifact) in nats, a lower bound; `kl_interval` 95 %.
        worst: where KL is highest, `worst_kl` nats.
        top1: share of positions with the same most probable token.
        top1_untied: the same, not counting changes within the tie margin; `top1_interval` is its.
        perplexity_reference, perplexity_artifact: of the sequences.
        ratio: of the perplexities, artifact over reference; `ratio_interval` 95 %.
        first_change: the first position with another preference, None when there is none.
        first_untied: the first beyond the tie margin.
    """

    positions: int
    kl: float
    kl_interval: Interval
    worst: Place
    worst_kl: float
    top1: float
    top1_untied: float
    top1_interval: Interval
    perplexity_reference: float
    perplexity_artifact: float
    ratio: float
    ratio_interval: Interval
    first_change: TopChange | None
    first_untied: TopChange | None

    @property
    def metrics(self) -> dict[str, float]:
        return {
            "kl_mean_nats": self.kl,
            "kl_mean_nats_low": self.kl_interval.low,
            "kl_mean_nats_high": self.kl_interval.high,
            "kl_max_nats": self.worst_kl,
            "top1_agreement": self.top1,
            "top1_agreement_up_to_ties": self.top1_untied,
            "perplexity_reference": self.perplexity_reference,
            "perplexity_artifact": self.perplexity_artifact,
            "perplexity_ratio": self.ratio,
        }


def measure(
    reference: Sequence[TokenScores], artifact: Sequence[TokenScores], tie_margin: float = 0.0
) -> Fidelity:
    """Measure an artifact's scores against the reference's.

    Args:
        reference: scores of token sequences, all finite.
        artifact: its scores of the same sequences in the same order, all finite.
        tie_margin: nats within which a change of preference is a tie.

    Raises:
        ValueError: the two sides scored different tokens, or nothing.
    """
    check_same_tokens(reference, artifact)
    pairs = list(zip(reference, artifact, strict=True))
    kl = [kl_by_position(r, a) for r, a in pairs]
    loss = [np.array(r.logprobs) - np.array(a.logprobs) for r, a in pairs]
    places = [Place(s, i + 1) for s, r in enumerate(reference) for i in range(len(r.logprobs))]
    if not places:
        raise ValueError("There are no scored positions to compare.")
    changes = [change for s, (r, a) in enumerate(pairs) for change in _changes(s, r, a)]
    untied = [change for change in changes if change.margin > tie_margin]
    all_kl, count = np.concatenate(kl), len(places)
    log_ratio = bootstrap_mean(loss)
    return Fidelity(
        positions=count,
        kl=float(all_kl.mean()),
        kl_interval=bootstrap_mean(kl),
        worst=places[int(all_kl.argmax())],
        worst_kl=float(all_kl.max()),
        top1=1 - len(changes) / count,
        top1_untied=1 - len(untied) / count,
        top1_interval=_agreement_interval(untied, [len(r.logprobs) for r in reference]),
        perplexity_reference=_perplexity([s.logprobs for s in reference]),
        perplexity_artifact=_perplexity([s.logprobs for s in artifact]),
        ratio=_exp(float(np.concatenate(loss).mean())),
        ratio_interval=Interval(_exp(log_ratio.low), _exp(log_ratio.high)),
        first_change=changes[0] if changes else None,
        first_untied=untied[0] if untied else None,
    )


def judge_fidelity(
    reference: Sequence[TokenScores],
    artifact: Sequence[TokenScores],
    budget: Budget,
    *,
    attribution: Attribution = Attribution.CONVERSION,
) -> Judgement:
    """Judge whether an artifact stays within its budget.

    Non-inferiority, not "no difference was found": corroborated only when the whole 95 % intervals
    of KL and top-1 agreement lie inside the budget, falsified when the whole interval of KL,
    agreement or perplexity ratio lies outside, inconclusive otherwise. Of the ratio only the value
    itself must lie inside: KL is its expectation on text the reference would write, and on other
    text it is mostly noise of the sample, sqrt(2 KL / tokens).

    Args:
        reference: scores of token sequences.
        artifact: its scores of the same sequences in the same order.
        budget: from `budget_for`.
        attribution: whose doing a loss is; ENGINE when the same files ran on two backends.

    Raises:
        ValueError: the two sides scored different tokens.
    """
    check_same_tokens(reference, artifact)
    compared = {"sequences": len(reference), "tokens": sum(len(s.logprobs) for s in reference)}
    expected = (
        f"mean KL <= {budget.max_mean_kl:.3g} nats, top-1 agreement >= {budget.min_top1:.3f}, "
        f"perplexity ratio <= {budget.max_perplexity_ratio:.4g} ({budget.because})"
    )
    if not compared["tokens"]:
        return inconclusive("No position was scored.", compared=compared, expected=expected)
    if not all(all(side.top_ids) for scores in (reference, artifact) for side in scores):
        return inconclusive(
            "An engine gives no log-probabilities but those of the scored tokens.",
            Attribution.ENGINE,
            expected=expected,
        )
    for scores, name, owner in (
        (reference, "reference", Attribution.MODEL),
        (artifact, "artifact", attribution),
    ):
        place = first_not_finite(scores)
        if place is not None:
            return falsified(
                f"The {name}'s log-probabilities are not finite, first at {place}.",
                owner,
                compared,
                expected="finite log-probabilities",
            )
    found = measure(reference, artifact, budget.tie_margin)
    metrics = {**found.metrics, KL_BUDGET: budget.max_mean_kl}
    reason = _describe(found)
    sides = (
        _side(found.kl_interval, budget.max_mean_kl),
        _side(_negated(found.top1_interval), -budget.min_top1),
        _side(found.ratio_interval, budget.max_perplexity_ratio),
    )
    ratio_inside = found.ratio <= budget.max_perplexity_ratio
    if sides[0] < 0 and sides[1] < 0 and ratio_inside:
        return corroborated(reason, compared, expected=expected, metrics=metrics)
    if any(side > 0 for side in sides):
        return falsified(reason, attribution, compared, expected=expected, metrics=metrics)
    return inconclusive(
        f"{reason} An interval straddles the budget: score more tokens.",
        compared=compared,
        expected=expected,
        metrics=metrics,
    )


def check_same_tokens(reference: Sequence[TokenScores], artifact: Sequence[TokenScores]) -> None:
    """Raise ValueError when the two sides did not score the same tokens."""
    if len(reference) != len(artifact):
        raise ValueError(
            f"The reference scored {len(reference)} sequences, the artifact {len(artifact)}."
        )
    for index, (r, a) in enumerate(zip(reference, artifact, strict=True)):
        if r.token_ids != a.token_ids:
            raise ValueError(f"Sequence {index} has different tokens on the two sides.")


def first_not_finite(scores: Sequence[TokenScores]) -> Place | None:
    """Return the first position with a NaN or infinite log-probability."""
    for sequence, s in enumerate(scores):
        for i, (logprob, top) in enumerate(zip(s.logprobs, s.top_logprobs, strict=True)):
            if not math.isfinite(logprob) or not all(map(math.isfinite, top)):
                return Place(sequence, i + 1)
    return None


def _changes(sequence: int, reference: TokenScores, artifact: TokenScores) -> list[TopChange]:
    changes = []
    for i in range(len(reference.top_ids)):
        r = dict(zip(reference.top_ids[i], reference.top_logprobs[i], strict=True))
        a = dict(zip(artifact.top_ids[i], artifact.top_logprobs[i], strict=True))
        r_id, a_id = reference.top_ids[i][0], artifact.top_ids[i][0]
        if r_id != a_id:
            # A token that is not listed is at most as probable as the last one that is.
            margin = r[r_id] - r.get(a_id, min(r.values())) + a[a_id] - a.get(r_id, min(a.values()))
            changes.append(TopChange(Place(sequence, i + 1), r_id, a_id, r[r_id], a[a_id], margin))
    return changes


def _agreement_interval(untied: Sequence[TopChange], lengths: Sequence[int]) -> Interval:
    """Return the wider of the exact and the bootstrap interval.

    The exact one knows that few positions prove little, the other that neighbours are correlated.
    """
    agree = [np.ones(length) for length in lengths]
    for change in untied:
        agree[change.place.sequence][change.place.token - 1] = 0.0
    total = sum(lengths)
    exact = clopper_pearson(total - len(untied), total)
    blocks = bootstrap_mean(agree)
    return Interval(min(exact.low, blocks.low), max(exact.high, blocks.high))


def _perplexity(logprobs: Sequence[Sequence[float]]) -> float:
    values: Floats = np.concatenate([np.asarray(s, dtype=np.float64) for s in logprobs])
    return _exp(-float(values.mean()))


def _exp(nats: float) -> float:
    """Return e to that power, at most about 1e304: evidence keeps numbers finite."""
    return math.exp(min(nats, 700.0))


def _negated(interval: Interval) -> Interval:
    return Interval(-interval.high, -interval.low)


def _side(interval: Interval, limit: float) -> int:
    """Return -1 when the interval lies below the limit, 1 when above, 0 when it straddles."""
    if interval.high <= limit:
        return -1
    return 1 if interval.low > limit else 0


def _describe(found: Fidelity) -> str:
    text = (
        f"Mean KL {found.kl:.3g} nats {found.kl_interval}, top-1 agreement {found.top1:.3f} "
        f"({found.top1_untied:.3f} up to ties), perplexity {found.perplexity_artifact:.4g} "
        f"against {found.perplexity_reference:.4g}; worst at {found.worst} with "
        f"{found.worst_kl:.3g} nats."
    )
    if found.first_untied is not None:
        return f"{text} First change beyond a tie at {found.first_untied}."
    if found.first_change is not None:
        return f"{text} First change, a tie, at {found.first_change}."
    return text
