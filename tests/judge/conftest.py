"""Builders of observations for the judges' tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pytest_aprqa.observation import FinishReason, Generation, TokenScores

ScoresOf = Callable[..., TokenScores]
Answer = Callable[..., Generation]


@pytest.fixture(scope="session")
def scores_of() -> ScoresOf:
    """Return the scores of tokens under logits of shape (n - 1, vocabulary)."""

    def build(
        logits: np.ndarray, token_ids: tuple[int, ...] | None = None, top: int = 64
    ) -> TokenScores:
        shifted = logits - logits.max(1, keepdims=True)
        logprobs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        tokens = token_ids or (0, *logits.argmax(1).tolist())
        ids = np.argsort(-logprobs, axis=1, kind="stable")[:, :top]
        return TokenScores(
            token_ids=tokens,
            logprobs=tuple(logprobs[np.arange(len(logits)), tokens[1:]].tolist()),
            top_ids=tuple(map(tuple, ids.tolist())),
            top_logprobs=tuple(map(tuple, np.take_along_axis(logprobs, ids, 1).tolist())),
        )

    return build


@pytest.fixture(scope="session")
def answer() -> Answer:
    """Return a generation of tokens, each with its margin over the runner-up in nats."""

    def build(
        text: str = "",
        token_ids: tuple[int, ...] | None = None,
        margins: tuple[float, ...] | None = None,
        finish: FinishReason = FinishReason.STOP,
        **more: Any,
    ) -> Generation:
        logprobs = None if margins is None else tuple(-0.5 for _ in margins)
        runner_up = None if margins is None else tuple(-0.5 - margin for margin in margins)
        return Generation(
            text=text or " ".join(map(str, token_ids or ())),
            finish=finish,
            token_ids=token_ids,
            logprobs=logprobs,
            runner_up=runner_up,
            **more,
        )

    return build
