"""Decoding with a transformers model, with the log-probability of every token."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessor, StoppingCriteria

from pytest_aprqa.engine.transformers_rows import Row, Rows, alike
from pytest_aprqa.observation import FinishReason

_STEPS = 16
"""Tokens after which answers that have ended leave a batch."""


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

    def config(self, tokens: int) -> GenerationConfig:
        """Return it in the library's words, for so many tokens.

        No sampler but temperature is applied, whatever the model's generation config asks for.
        """
        sampled = self.temperature > 0
        return GenerationConfig(
            do_sample=sampled,
            max_new_tokens=tokens,
            eos_token_id=sorted(self.eos) or None,
            pad_token_id=self.pad,
            return_dict_in_generate=True,
            **({"top_k": 0, "top_p": 1.0, "temperature": 1.0} if sampled else {}),
        )


def decode(
    model: Any, prompts: Sequence[Sequence[int]], limits: Sequence[int], how: Decoding
) -> list[Decoded]:
    """Continue the prompts as one batch, each up to its own limit of tokens.

    Prompts of like length are read together, then all are continued together.
    """
    watch = _Watch(how.cancel_after)
    if how.temperature > 0:
        torch.manual_seed(how.seed)
    rows = [Row(prompt, limit) for prompt, limit in zip(prompts, limits, strict=True)]
    batch = _read(model, rows, how, watch)
    while batch.rows and not watch.cancelled:
        left = min(row.left for row in batch.rows)
        _continue(model, batch, left if len(batch.rows) == 1 else min(left, _STEPS), how, watch)
    seconds = time.monotonic() - watch.started
    first = None if watch.first_at is None else watch.first_at - watch.started
    return [
        Decoded(
            token_ids=tuple(row.token_ids),
            logprobs=tuple(row.logprobs),
            runner_up=tuple(row.runner_up),
            finish=_finish(row),
            seconds=seconds,
            seconds_to_first_token=first,
        )
        for row in rows
    ]


def _read(model: Any, rows: Sequence[Row], how: Decoding, watch: _Watch) -> Rows:
    """Return the prompts as one batch; with their first token when they were read in parts."""
    parts = [Rows.of(part, how.pad, model.device) for part in alike(model, rows)]
    if len(parts) == 1:
        return parts[0]
    for part in parts:
        _continue(model, part, 1, how, watch)
    return Rows.joined(parts, how.pad, model)


def _continue(model: Any, batch: Rows, steps: int, how: Decoding, watch: _Watch) -> None:
    """Add so many tokens to each row, fewer when all end before; drop those that are finished."""
    recorder = _Recorder(how.temperature)
    output = model.generate(
        input_ids=batch.ids,
        attention_mask=batch.mask,
        past_key_values=batch.cache,
        generation_config=how.config(steps),
        logits_processor=[recorder],
        stopping_criteria=[watch],
    )
    new = batch.grow(output.sequences, getattr(output, "past_key_values", None))
    recorder.settle(new[:, -1])
    logprobs, runner_up = recorder.rows()
    for row, *told in zip(batch.rows, new.tolist(), logprobs, runner_up, strict=True):
        row.take(how.eos, *told)
    batch.drop_finished()


def _finish(row: Row) -> FinishReason:
    if row.stopped:
        return FinishReason.STOP
    return FinishReason.CANCELLED if row.left else FinishReason.LENGTH


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
        self.started = time.monotonic()
        self.first_at: float | None = None
        self._cancel_after = cancel_after
        self._steps = 0

    @property
    def cancelled(self) -> bool:
        return self._cancel_after is not None and self._steps >= self._cancel_after

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        self._steps += 1
        self.first_at = self.first_at or time.monotonic()
        return torch.full((input_ids.shape[0],), self.cancelled, device=input_ids.device)
