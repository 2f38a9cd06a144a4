"""Kullback-Leibler divergence between next-token distributions of which only the top is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pytest_aprqa.judge.statistics import Floats
from pytest_aprqa.observation import TokenScores

Ids = npt.NDArray[np.int64]

KL_NATS = "kl_nats_by_position"
"""The name by which an observation keeps the divergence of each position."""

KL_WORST_TOKEN = "kl_worst_token"
"""The name by which an observation keeps the token that is predicted where it is largest."""

_LEAST = 1e-7
"""Mass below which float32 sums of probabilities are rounding; raising q to it only lowers KL."""


def kl_by_position(reference: TokenScores, artifact: TokenScores) -> Floats:
    """Return KL(reference || artifact) of each scored position in nats, as a lower bound.

    Tokens in both top lists count one by one; what is left is lumped. Lumping outcomes never
    raises a divergence (data-processing inequality; Cover and Thomas, "Elements of Information
    Theory", theorem 2.7.1), so the true value is at least this, and equal when the lists cover
    the vocabulary.

    Returns:
        Shape (n - 1,).
    """
    pairs = zip(
        reference.top_ids,
        reference.top_logprobs,
        artifact.top_ids,
        artifact.top_logprobs,
        strict=True,
    )
    return np.array(
        [
            _lower_bound(np.array(p_ids), np.array(p), np.array(q_ids), np.array(q))
            for p_ids, p, q_ids, q in pairs
        ]
    )


def mean_kl(reference: Sequence[TokenScores], artifact: Sequence[TokenScores]) -> float:
    """Return the mean of `kl_by_position` over all positions of sequences, in nats."""
    pairs = zip(reference, artifact, strict=True)
    return float(np.concatenate([kl_by_position(*pair) for pair in pairs]).mean())


def information(scores: TokenScores) -> Floats:
    """Return how much each distribution says about its own position, in nats.

    It is the divergence from the distribution half the sequence away: what a model would show
    that knows the language but answers another question. A flat random model has little of it,
    so that little KL destroys all it has.

    Returns:
        Shape (n - 1,).
    """
    count = len(scores.top_ids)
    order = [(i + count // 2) % count for i in range(count)]
    elsewhere = TokenScores(
        scores.token_ids,
        scores.logprobs,
        tuple(scores.top_ids[i] for i in order),
        tuple(scores.top_logprobs[i] for i in order),
    )
    return kl_by_position(scores, elsewhere)


def _lower_bound(p_ids: Ids, p_log: Floats, q_ids: Ids, q_log: Floats) -> float:
    common, p_at, q_at = np.intersect1d(p_ids, q_ids, assume_unique=True, return_indices=True)
    p, q = np.exp(p_log), np.exp(q_log)
    shared = float(np.sum(p[p_at] * (p_log[p_at] - q_log[q_at])))
    p_rest = max(0.0, 1.0 - float(p[p_at].sum()))
    q_rest = max(_LEAST, 1.0 - float(q[q_at].sum()))
    p_alone = min(p_rest, float(p.sum() - p[p_at].sum()))
    q_alone = min(q_rest, float(q.sum() - q[q_at].sum()))
    # Tokens that a side does not list share what its list leaves, and each is at most as probable
    # as the last one listed.
    q_most = min(q_rest - q_alone, (len(p_ids) - len(common)) * float(q.min()))
    p_most = min(p_rest - p_alone, (len(q_ids) - len(common)) * float(p.min()))
    rest = max(
        _two_outcomes(p_alone, p_rest, min(q_most, q_rest * p_alone / max(p_rest, _LEAST)), q_rest),
        _two_outcomes(min(p_most, p_rest * q_alone / q_rest), p_rest, q_alone, q_rest),
    )
    return max(0.0, shared + rest)


def _two_outcomes(p: float, p_total: float, q: float, q_total: float) -> float:
    """Return the terms of a lump with masses p and q and of what is left of the totals."""
    return _term(p, q) + _term(p_total - p, q_total - q)


def _term(p: float, q: float) -> float:
    return p * float(np.log(p / max(q, _LEAST))) if p > 0 else 0.0
