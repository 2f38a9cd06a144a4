"""Prompts that a transformers model continues together, with the keys and values it has of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch.nn.functional import pad
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

_FORWARD = 32
"""Tokens of padding that cost what another pass over the weights does.

On 2 cores of an AMD EPYC and SmolLM2-135M a pass takes as long as 20 tokens more do.
"""


@dataclass(slots=True)
class Row:
    """A prompt and its answer so far.

    Attributes:
        prompt: its tokens.
        limit: tokens that the answer may have.
        token_ids, logprobs, runner_up: the answer, and the log-probabilities of its tokens and of
            the best other token at each position.
        stopped: by a token that ends an answer.
    """

    prompt: Sequence[int]
    limit: int
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    runner_up: list[float] = field(default_factory=list)
    stopped: bool = False

    @property
    def left(self) -> int:
        """Tokens that may still come."""
        return 0 if self.stopped else self.limit - len(self.token_ids)

    def take(
        self,
        eos: frozenset[int],
        token_ids: list[int],
        logprobs: list[float],
        runner_up: list[float],
    ) -> None:
        """Append what was generated, up to the first token that ends an answer."""
        ended = next((index for index, token in enumerate(token_ids) if token in eos), None)
        length = len(token_ids) if ended is None else ended + 1
        self.stopped = ended is not None
        self.token_ids += token_ids[:length]
        self.logprobs += logprobs[:length]
        self.runner_up += runner_up[:length]


@dataclass(slots=True)
class Rows:
    """Rows that are continued together, padded on the left.

    Attributes:
        rows: those that still go on.
        ids: tokens, one row each.
        mask: 0 where `ids` is padding.
        cache: keys and values of all tokens but the last; None before the first pass, and where a
            model keeps none, which then reads all tokens again.
    """

    rows: list[Row]
    ids: torch.Tensor
    mask: torch.Tensor
    cache: Any = None

    @classmethod
    def of(cls, rows: Sequence[Row], padding: int, device: Any) -> Self:
        """Return rows that nothing has been read of."""
        width = max(len(row.prompt) for row in rows)
        short = [width - len(row.prompt) for row in rows]
        ids = [[padding] * n + list(row.prompt) for n, row in zip(short, rows, strict=True)]
        mask = [[0] * n + [1] * (width - n) for n in short]
        return cls(list(rows), torch.tensor(ids, device=device), torch.tensor(mask, device=device))

    def grow(self, ids: torch.Tensor, cache: Any) -> torch.Tensor:
        """Take the sequences that a model made of these; return the new tokens."""
        new = ids[:, self.ids.shape[1] :]
        self.mask = pad(self.mask, (0, new.shape[1]), value=1)
        self.ids, self.cache = ids, cache
        return new

    def drop_finished(self) -> None:
        """Keep the rows that have tokens left, and what belongs to them."""
        going_on = [index for index, row in enumerate(self.rows) if row.left]
        if len(going_on) == len(self.rows):
            return
        self.rows = [self.rows[index] for index in going_on]
        kept = torch.tensor(going_on, dtype=torch.long, device=self.ids.device)
        self.ids, self.mask = self.ids[kept], self.mask[kept]
        if self.cache is not None:
            self.cache.batch_select_indices(kept)

    @classmethod
    def joined(cls, parts: Sequence[Self], padding: int, model: Any) -> Self:
        """Return rows of several widths, each with a cache, as rows of the greatest."""
        width = max(part.ids.shape[1] for part in parts)
        short = [width - part.ids.shape[1] for part in parts]
        ids = [pad(part.ids, (n, 0), value=padding) for n, part in zip(short, parts, strict=True)]
        mask = [pad(part.mask, (n, 0)) for n, part in zip(short, parts, strict=True)]
        cache = DynamicCache(config=model.config)
        for index, layers in enumerate(zip(*(part.cache.layers for part in parts), strict=True)):
            if layers[0].is_initialized:  # a layer may use the keys of another
                cache.update(*_side_by_side(layers, short), index)
        rows = [row for part in parts for row in part.rows]
        return cls(rows, torch.cat(ids), torch.cat(mask), cache)


def _side_by_side(layers: Sequence[Any], short: Sequence[int]) -> list[torch.Tensor]:
    """Return keys and values of one layer for the rows of all parts; padding is never looked at."""
    filled = [
        [pad(states, (0, 0, n, 0)) for states in (layer.keys, layer.values)]
        for n, layer in zip(short, layers, strict=True)
    ]
    return [torch.cat(states) for states in zip(*filled, strict=True)]


def alike(model: Any, rows: Sequence[Row]) -> list[list[Row]]:
    """Return rows in parts whose prompts are worth reading together, by length.

    A part costs a pass over the weights, and saves the padding up to the longest prompt. All are
    one part where the cache of the model cannot be put together again.
    """
    ordered = sorted(rows, key=lambda row: len(row.prompt))
    return _cut(ordered) if _can_join(model, len(ordered[-1].prompt)) else [ordered]


def _cut(ordered: list[Row]) -> list[list[Row]]:
    lengths = [len(row.prompt) for row in ordered]
    saved, cut = max(
        ((n * (lengths[-1] - lengths[n - 1]), n) for n in range(1, len(ordered))), default=(0, 0)
    )
    if saved <= _FORWARD:
        return [ordered]
    return [*_cut(ordered[:cut]), *_cut(ordered[cut:])]


def _can_join(model: Any, width: int) -> bool:
    """Whether every layer keeps all of so many tokens, or only those of another layer."""
    return all(
        type(layer) is DynamicLayer
        or (type(layer) is DynamicSlidingWindowLayer and width < layer.sliding_window)
        for layer in DynamicCache(config=model.config).layers
    )
