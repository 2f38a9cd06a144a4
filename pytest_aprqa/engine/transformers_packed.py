"""Linear layers of a model on a CPU, laid out the way oneDNN multiplies fastest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

_DTYPES = (torch.float32, torch.bfloat16)
_ROWS = 16
"""Rows a layout is made for. It serves any number: a token of one prompt, or a batch's or a text's."""


class PackedLinear(nn.Module):  # type: ignore[misc]  # torch has no types here
    """An `nn.Linear` that holds its weight in oneDNN's own blocks, as torch's compiler freezes it.

    The same products in the same dtype, added up in another order.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.bias = linear.bias
        self._packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), _ROWS)

    @property
    def weight(self) -> torch.Tensor:
        """The weight as it was, for the few models that look at one; made anew each time."""
        plain: torch.Tensor = self._packed.to_dense()
        return plain

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        if torch.is_autocast_enabled(rows.device.type):  # which knows nothing of packed weights
            return nn.functional.linear(rows, self.weight, self.bias)
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            rows, self._packed, self.bias, "none", [], ""
        )
        return product


def pack_linears(model: Any) -> int:
    """Put packed layers in the place of a model's plain ones and return how many.

    `F.linear` lays a weight out anew for every product, or multiplies it as it lies, which costs
    more than the product itself when there are few rows. Layers that oneDNN cannot take on this
    processor, or that there is no memory for, stay as they are.
    """
    if not torch.backends.mkldnn.is_available():
        return 0
    packed = 0
    for parent, name, linear in list(_linears(model)):
        try:
            setattr(parent, name, PackedLinear(linear))
        except (AttributeError, RuntimeError):  # another torch, another processor, no memory
            break
        packed += 1
    return packed


def _linears(model: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Linear]]:
    """Yield the plain linear layers on a CPU, with the module each is part of and its name there."""
    for parent in model.modules():
        for name, child in parent.named_children():
            if type(child) is nn.Linear and _is_taken(child.weight):
                yield parent, name, child


def _is_taken(weight: torch.Tensor) -> bool:
    return weight.device.type == "cpu" and weight.dtype in _DTYPES and weight.numel() > 0
