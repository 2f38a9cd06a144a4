"""Where on its way through the layers an artifact leaves its reference."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pytest_aprqa.judge.rounding import step_of
from pytest_aprqa.observation import LayerState

_LEAST = 0.02
"""Relative difference that arithmetic alone may make: 16-bit floats over some dozens of layers."""

_STEPS = 4.0
"""How many steps of the weights' rounding may add up behind a layer."""


def tolerance_of(dtype: str) -> float:
    """Return by how much hidden states may differ for the rounding of weights to a dtype.

    Raises:
        ValueError: a dtype of which nothing is known.
    """
    return max(_LEAST, _STEPS * step_of(dtype).bound)


def differences(reference: Sequence[LayerState], artifact: Sequence[LayerState]) -> list[float]:
    """Return for each layer the relative difference of the sampled states; 1 is all of it.

    Infinite where only one side has values that are NaN or infinite.
    """
    return [_difference(ours, theirs) for ours, theirs in zip(reference, artifact, strict=False)]


def first_that_differs(found: Sequence[float], tolerance: float) -> int | None:
    """Return the first layer with a difference beyond the tolerance, None when there is none."""
    return next((layer for layer, by in enumerate(found) if not by <= tolerance), None)


def _difference(reference: LayerState, artifact: LayerState) -> float:
    if bool(reference.not_finite) != bool(artifact.not_finite):
        return math.inf
    if len(reference.sample) != len(artifact.sample):
        return math.inf
    apart, size = math.dist(reference.sample, artifact.sample), math.hypot(*reference.sample)
    if size:
        return apart / size
    return math.inf if apart else 0.0
