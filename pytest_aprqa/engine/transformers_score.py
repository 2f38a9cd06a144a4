"""The log-probabilities that a transformers model gives the tokens of a text."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch

from pytest_aprqa.observation import TokenScores

_ROWS = 64
"""Positions whose float32 log-probabilities over the vocabulary are held at once."""


def score(model: Any, ids: Sequence[int], top: int, dtype: str = "") -> TokenScores:
    """Return the log-probabilities of one sequence from a single forward pass.

    Its matrices are multiplied in `dtype`, or in the model's own when none is given.
    """
    if len(ids) < 2:
        return TokenScores(tuple(ids), (), (), ())
    device = model.device.type
    other = torch.autocast(device, getattr(torch, dtype)) if dtype else nullcontext()
    with other:
        sequence = torch.tensor([ids], device=model.device)
        logits = model(input_ids=sequence, use_cache=False).logits[0, :-1]
        own: list[float] = []
        top_ids: list[tuple[int, ...]] = []
        top_logprobs: list[tuple[float, ...]] = []
        for rows, targets in zip(logits.split(_ROWS), sequence[0, 1:].split(_ROWS), strict=True):
            logprobs = rows.float().log_softmax(-1)
            own += logprobs.gather(1, targets[:, None])[:, 0].tolist()
            best = logprobs.topk(min(top, logprobs.shape[1]))
            top_ids += map(tuple, best.indices.tolist())
            top_logprobs += map(tuple, best.values.tolist())
    return TokenScores(tuple(ids), tuple(own), tuple(top_ids), tuple(top_logprobs))
