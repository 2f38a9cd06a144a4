"""How far the tensors of each layer are off: where in the model a conversion loses most."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from pytest_aprqa.judge.tensors import TensorComparison

ERROR_BY_LAYER = "relative_error_by_layer"
"""The name by which an observation keeps it."""

_LAYER = re.compile(r"(?:^|\.)(\d+)\.")
_ALL_OF_IT = 1.0


def errors_by_layer(comparisons: Iterable[TensorComparison]) -> list[float]:
    """Return the largest relative error of any tensor of each layer, layer 0 first.

    1 where a tensor has another shape or values that are not finite; tensors outside the layers,
    as embeddings and the head, are left out.
    """
    worst: dict[int, float] = {}
    for comparison in comparisons:
        layer = layer_of(comparison.name)
        if layer is not None:
            worst[layer] = max(worst.get(layer, 0.0), _error(comparison))
    return [worst.get(layer, 0.0) for layer in range(max(worst, default=-1) + 1)]


def layer_of(tensor: str) -> int | None:
    """Return the number of the layer a tensor is of, by its name; None outside the layers."""
    found = _LAYER.search(tensor)
    return int(found[1]) if found else None


def _error(comparison: TensorComparison) -> float:
    differs = comparison.reference_shape != comparison.artifact_shape
    if differs or not math.isfinite(comparison.relative_error):
        return _ALL_OF_IT
    return float(f"{comparison.relative_error:.4g}")
