"""Linear layers of a model on a CPU, laid out the way oneDNN multiplies fastest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

_DTYPES = (torch.float32, torch.bfloat16)
_ROWS = 16
"""Rows a layout is made for. It serves any number: a token of one prompt, or a batch's or a text's."""

_SAME_INPUT = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Layers of one module that transformers gives the same rows one after the other, by name.

Where it does not, each is computed from its own rows all the same, only not faster.
"""


class _Weights:
    """The weights of layers, one below the other, in oneDNN's own blocks."""

    def __init__(self, linears: Sequence[nn.Linear]) -> None:
        self.sizes = [linear.out_features for linear in linears]
        weights = torch.cat([linear.weight.detach() for linear in linears])
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weights, _ROWS)
        biases = [linear.bias.detach() for linear in linears if linear.bias is not None]
        self._bias = torch.cat(biases) if biases else None
        self._rows: torch.Tensor | None = None
        self._left: dict[int, torch.Tensor] = {}

    def product(self, rows: torch.Tensor, layer: int) -> torch.Tensor:
        """Return what a layer makes of rows; the others' share is kept until they ask for it."""
        if self._rows is not rows or layer not in self._left:
            whole: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
                rows, self.packed, self._bias, "none", [], ""
            )
            if len(self.sizes) == 1:
                return whole
            self._rows, self._left = rows, dict(enumerate(whole.split_with_sizes(self.sizes, -1)))
        product = self._left.pop(layer)
        if not self._left:
            self._rows = None
        return product


class PackedLinear(nn.Module):  # type: ignore[misc]  # torch has no types here
    """An `nn.Linear` that holds its weight in oneDNN's own blocks, as torch's compiler freezes it.

    The same products in the same dtype, added up in another order.
    """

    def __init__(self, linear: nn.Linear, weights: _Weights, layer: int) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.bias = linear.bias
        self._weights, self._layer = weights, layer

    @property
    def weight(self) -> torch.Tensor:
        """The weight as it was, for the few models that look at one; made anew each time."""
        plain: torch.Tensor = self._weights.packed.to_dense().split(self._weights.sizes)[
            self._layer
        ]
        return plain

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        if torch.is_autocast_enabled(rows.device.type):  # which knows nothing of packed weights
            return nn.functional.linear(rows, self.weight, self.bias)
        return self._weights.product(rows, self._layer)


def packed(linears: Sequence[nn.Linear]) -> list[PackedLinear]:
    """Return packed layers for plain ones that are given the same rows.

    Raises:
        AttributeError, RuntimeError: this torch or this processor cannot, or there is no memory.
    """
    weights = _Weights(linears)
    return [PackedLinear(linear, weights, layer) for layer, linear in enumerate(linears)]


def pack_linears(model: Any) -> int:
    """Put packed layers in the place of a model's plain ones and return how many.

    `F.linear` lays a weight out anew for every product, or multiplies it as it lies, which costs
    more than the product itself when there are few rows. Layers that oneDNN cannot take on this
    processor, or that there is no memory for, stay as they are.
    """
    if not torch.backends.mkldnn.is_available():
        return 0
    count = 0
    for parent, names in list(_groups(model)):
        try:
            layers = packed([getattr(parent, name) for name in names])
        except (AttributeError, RuntimeError):  # another torch, another processor, no memory
            break
        for name, layer in zip(names, layers, strict=True):
            setattr(parent, name, layer)
        count += len(layers)
    return count


def _groups(model: nn.Module) -> Iterator[tuple[nn.Module, tuple[str, ...]]]:
    """Yield the names of plain linear layers that are packed together, with the module they are in."""
    for parent in model.modules():
        linears = {name: child for name, child in parent.named_children() if _is_taken(child)}
        for names in _SAME_INPUT:
            if all(name in linears for name in names) and _are_alike([linears[n] for n in names]):
                yield parent, names
                for name in names:
                    del linears[name]
        for name in linears:
            yield parent, (name,)


def _are_alike(linears: Sequence[nn.Linear]) -> bool:
    """Whether layers can be one matrix: of one width and dtype, all with a bias or none."""
    kinds = {(one.in_features, one.weight.dtype, one.bias is None) for one in linears}
    return len(kinds) == 1


def _is_taken(module: nn.Module) -> bool:
    return (
        type(module) is nn.Linear
        and module.weight.device.type == "cpu"
        and module.weight.dtype in _DTYPES
        and module.weight.numel() > 0
    )
