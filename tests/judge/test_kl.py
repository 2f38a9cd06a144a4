"""The lower bound of KL from top lists."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_aprqa.judge.kl import information, kl_by_position
from pytest_aprqa.observation import TokenScores

ScoresOf = Callable[..., TokenScores]


def exact(p_logits: np.ndarray, q_logits: np.ndarray) -> np.ndarray:
    p = np.exp(p_logits) / np.exp(p_logits).sum(1, keepdims=True)
    q = np.exp(q_logits) / np.exp(q_logits).sum(1, keepdims=True)
    return np.sum(p * np.log(p / q), axis=1)


@given(st.integers(0, 10_000), st.integers(1, 40), st.floats(0.01, 6.0), st.floats(0.0, 6.0))
@settings(max_examples=80, deadline=None)
def test_it_is_a_lower_bound_whatever_the_lists_hold(
    scores_of: ScoresOf, seed: int, top: int, spread: float, noise: float
) -> None:
    rng = np.random.default_rng(seed)
    p = rng.normal(size=(4, 40)) * spread
    q = p + rng.normal(size=p.shape) * noise
    tokens = (0, 0, 0, 0, 0)
    bound = kl_by_position(scores_of(p, tokens, top), scores_of(q, tokens, top))
    assert np.all(bound >= 0)
    assert np.all(bound <= exact(p, q) + 1e-5)


def test_it_is_exact_when_the_lists_cover_the_vocabulary(scores_of: ScoresOf) -> None:
    rng = np.random.default_rng(0)
    p, q = rng.normal(size=(2, 50, 32)) * 2
    tokens = tuple([0] * 51)
    bound = kl_by_position(scores_of(p, tokens), scores_of(q, tokens))
    assert bound == pytest.approx(exact(p, q), rel=1e-4, abs=1e-6)


def test_it_loses_little_when_the_lists_hold_most_of_the_mass(scores_of: ScoresOf) -> None:
    rng = np.random.default_rng(0)
    p = rng.normal(size=(200, 1000)) * 3
    q = p + rng.normal(size=p.shape) * 0.3
    tokens = tuple([0] * 201)
    bound = kl_by_position(scores_of(p, tokens), scores_of(q, tokens)).mean()
    assert 0.8 * exact(p, q).mean() < bound <= exact(p, q).mean()


def test_it_sees_distributions_whose_lists_share_no_token(scores_of: ScoresOf) -> None:
    p, q = np.zeros((1, 100)), np.zeros((1, 100))
    p[0, :5], q[0, 50:55] = 12, 12
    assert kl_by_position(scores_of(p, (0, 0), 5), scores_of(q, (0, 0), 5))[0] > 5


def test_identical_distributions_have_none(scores_of: ScoresOf) -> None:
    p = scores_of(np.random.default_rng(0).normal(size=(20, 200)), top=16)
    assert kl_by_position(p, p).tolist() == [0.0] * 20


def test_information_tells_a_model_that_knows_from_one_that_does_not(scores_of: ScoresOf) -> None:
    logits = np.random.default_rng(0).normal(size=(60, 64))
    knowing, flat = (information(scores_of(logits * scale)).mean() for scale in (8.0, 0.05))
    assert knowing > 3
    assert flat < 0.01
