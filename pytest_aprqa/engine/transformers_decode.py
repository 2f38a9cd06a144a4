"""Decoding and scoring with a transformers model, with the log-probability of every token."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessor, StoppingCriteria

from pytest_aprqa.observation import FinishReason, TokenScores

_ROWS = 64
"""Positions whose float32 log-probabilities over the vocabulary are held at once."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """One answer as tokens."""

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    runner_up: tuple[float, ...]
    finish: FinishReason
    seconds: float
    seconds_to_first_token: float | None


@dataclass(frozen=True, slots=True)
class Decoding:
    """How to decode: temperature 0 is greedy; `eos` ends an answer; `cancel_after` n tokens."""

    temperature: float
    seed: int
    eos: frozenset[int]
    pad: int
    cancel_after: int | None = None


def decode(
    model: Any, prompts: Sequence[Sequence[int]], limits: Sequence[int], how: Decoding
) -> list[Decoded]:
    """Continue the prompts as one left-padded batch, each up to its own limit of tokens.

    No sampler but temperature is applied, whatever the model's generation config asks for.
    """
    started = time.monotonic()
    ids, mask = _left_padded(prompts, how.pad, model.device)
    recorder, watch = _Recorder(how.temperature), _Watch(how.cancel_after)
    if how.temperature > 0:
        torch.manual_seed(how.seed)
    sampling = {"top_k": 0, "top_p": 1.0, "temperature": 1.0} if how.temperature > 0 else {}
    config = GenerationConfig(
        do_sample=how.temperature > 0,
        max_new_tokens=max(limits),
        eos_token_id=sorted(how.eos) or None,
        pad_token_id=how.pad,
        **sampling,
    )
    output = model.generate(
        input_ids=ids,
        attention_mask=mask,
        generation_config=config,
        logits_processor=[recorder],
        stopping_criteria=[watch],
    )
    seconds = time.monotonic() - started
    generated = output[:, ids.shape[1] :]
    recorder.settle(generated[:, -1])
    first = None if watch.first_at is None else watch.first_at - started
    return [
        _cut(row, logprobs, runner_up, limit, how, seconds, first)
        for row, logprobs, runner_up, limit in zip(
            generated.tolist(), *recorder.rows(), limits, strict=True
        )
    ]


def score(model: Any, ids: Sequence[int], top: int, dtype: str = "") -> TokenScores:
    """Return the log-probabilities of one sequence from a single forward pass.

    Its matrices are multiplied in `dtype`, or in the model's own when none is given.
    """
    if len(ids) < 2:
        return TokenScores(tuple(ids), (), (), ())
    device = model.device.type
    other = torch.autocast(device, getattr(torch, dtype)) if dtype else nullcontext()
    with torch.inference_mode(), other:
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


class _Recorder(LogitsProcessor):  # type: ignore[misc]  # transformers has no types
    """Notes the log-probabilities of the tokens chosen, then applies the temperature."""

    def __init__(self, temperature: float) -> None:
        self._temperature = temperature
        self._pending: torch.Tensor | None = None
        self._logprobs: list[torch.Tensor] = []
        self._runner_up: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if self._pending is not None:
            self.settle(input_ids[:, -1])
        self._pending = scores.float().log_softmax(-1)
        return scores / self._temperature if self._temperature > 0 else scores

    def settle(self, chosen: torch.Tensor) -> None:
        """Take the tokens chosen from the last log-probabilities."""
        assert self._pending is not None
        tokens = chosen[:, None]
        self._logprobs.append(self._pending.gather(1, tokens)[:, 0])
        self._runner_up.append(self._pending.scatter_(1, tokens, -torch.inf).amax(1))
        self._pending = None

    def rows(self) -> tuple[list[list[float]], list[list[float]]]:
        """Return log-probabilities and runners-up, one list per prompt."""
        return (
            torch.stack(self._logprobs, 1).tolist(),
            torch.stack(self._runner_up, 1).tolist(),
        )


class _Watch(StoppingCriteria):  # type: ignore[misc]  # transformers has no types
    """Notes when the first token came; ends the generation after a number of tokens."""

    def __init__(self, cancel_after: int | None) -> None:
        self.first_at: float | None = None
        self._cancel_after = cancel_after
        self._steps = 0

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        self._steps += 1
        self.first_at = self.first_at or time.monotonic()
        cancelled = self._cancel_after is not None and self._steps >= self._cancel_after
        return torch.full((input_ids.shape[0],), cancelled, device=input_ids.device)


def _left_padded(
    prompts: Sequence[Sequence[int]], pad: int, device: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(map(len, prompts))
    ids = [[pad] * (width - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def _cut(
    row: list[int],
    logprobs: list[float],
    runner_up: list[float],
    limit: int,
    how: Decoding,
    seconds: float,
    first: float | None,
) -> Decoded:
    """Return one row of a batch up to its end of sequence or its own limit."""
    length = min(len(row), limit)
    ended = next((index for index in range(length) if row[index] in how.eos), None)
    if ended is not None:
        length, finish = ended + 1, FinishReason.STOP
    elif length < limit:
        finish = FinishReason.CANCELLED
    else:
        finish = FinishReason.LENGTH
    return Decoded(
        token_ids=tuple(row[:length]),
        logprobs=tuple(logprobs[:length]),
        runner_up=tuple(runner_up[:length]),
        finish=finish,
        seconds=seconds,
        seconds_to_first_token=first,
    )
