"""What Q8_0 and Q4_0 of GGUF do to a weight, as training noise and for measuring."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import LlamaForCausalLM

BLOCK = 32


class Grid(StrEnum):
    """A block format of 32 weights with one half-precision scale."""

    Q8_0 = "Q8_0"
    Q4_0 = "Q4_0"


def rounded(weight: Tensor, grid: Grid) -> Tensor:
    """Return the weights as they read back from the format; rows are a multiple of 32 long."""
    import torch

    blocks = weight.detach().reshape(-1, BLOCK)
    if grid is Grid.Q8_0:
        scale = blocks.abs().amax(1, keepdim=True) / 127
        low, high = -127, 127
    else:
        extreme = blocks.gather(1, blocks.abs().argmax(1, keepdim=True))
        scale = extreme / -8
        low, high = -8, 7
    steps = torch.where(scale == 0, torch.zeros_like(blocks), blocks / scale)
    steps = torch.floor(steps + 0.5).clamp(low, high)
    return (steps * scale.half().float()).reshape(weight.shape)


@contextlib.contextmanager
def on_grid(model: LlamaForCausalLM, grid: Grid | None) -> Iterator[None]:
    """Replace the matrices by their quantised values for a while; None leaves them exact.

    Gradients found meanwhile stay and count for the exact values (straight-through estimator).
    """
    import torch

    if grid is None:
        yield
        return
    kept = {name: p.detach().clone() for name, p in model.named_parameters() if p.dim() == 2}
    with torch.no_grad():
        for name, value in kept.items():
            model.get_parameter(name).copy_(rounded(value, grid))
    yield
    with torch.no_grad():
        for name, value in kept.items():
            model.get_parameter(name).copy_(value)
