"""How many prompts a transformers model may continue at once in the memory that is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import torch

from pytest_aprqa.engine.faults import says_no_memory
from pytest_aprqa.engine.memory import memory_left

P = TypeVar("P")
D = TypeVar("D")

_SHARE = 0.5
"""Of the memory left: a cache that grows is copied, and others allocate meanwhile."""

_LOGITS = 4
"""Rows of float32 over the vocabulary that a prompt holds while its next token is chosen."""


def row_bytes(model: Any, width: int) -> int:
    """Return the bytes that one prompt of a batch needs at most.

    Keys and values of every layer at every position, what the widest layer makes of the whole
    width, and the logits of a position.

    Args:
        model: a transformers model.
        width: tokens of the prompt and of the answer together.
    """
    config = model.config.get_text_config()
    heads = getattr(config, "num_attention_heads", 1)
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    kept = (
        2 * config.num_hidden_layers * (getattr(config, "num_key_value_heads", 0) or heads) * size
    )
    inner = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
    passing = 3 * inner + 6 * config.hidden_size
    logits = _LOGITS * config.vocab_size * torch.float32.itemsize
    return int(width * (kept + passing) * model.dtype.itemsize + logits)


def rows_that_fit(model: Any, width: int, left: int) -> int:
    """Return how many prompts fit into so many bytes together, at least one."""
    return max(1, int(left * _SHARE) // row_bytes(model, width))


def left_for(model: Any) -> int:
    """Return the bytes that are left where a model computes."""
    if model.device.type == "cuda":
        return int(torch.cuda.mem_get_info(model.device)[0])
    return memory_left()


def parts(prompts: Sequence[P], rows: int) -> Iterator[Sequence[P]]:
    """Yield prompts, so many at a time."""
    for start in range(0, len(prompts), rows):
        yield prompts[start : start + rows]


def in_memory(decode: Callable[[Sequence[P]], list[D]], prompts: Sequence[P]) -> list[D]:
    """Return what prompts decode to as one batch, or in halves when there is no memory for one."""
    try:
        return decode(prompts)
    except (MemoryError, RuntimeError) as error:
        if len(prompts) == 1 or not says_no_memory(f"{type(error).__name__}: {error}"):
            raise
    # What the failed batch held is free again only here, where its frames are gone.
    half = (len(prompts) + 1) // 2
    return [one for part in parts(prompts, half) for one in in_memory(decode, part)]
