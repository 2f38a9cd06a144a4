"""What a forward pass of a transformers model leaves behind each of its layers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from pytest_aprqa.engine.protocol import EngineError, Fault
from pytest_aprqa.observation import LayerState

_SAMPLE = 64
"""Values of the last position that are kept of each layer."""


def trace(model: Any, ids: Sequence[int]) -> list[LayerState]:
    """Return the state behind each decoder layer in one forward pass over tokens.

    The layers are watched from outside, so the pass is the one that scores and answers come from.

    Raises:
        EngineError: UNSUPPORTED when the model has no list of layers.
    """
    layers = next((m for m in model.modules() if isinstance(m, nn.ModuleList) and len(m)), None)
    if layers is None:
        raise EngineError(Fault.UNSUPPORTED, "the model has no list of layers to look behind")
    states: list[LayerState] = []
    hooks = [
        layer.register_forward_hook(partial(_note, states, number))
        for number, layer in enumerate(layers)
    ]
    try:
        model(input_ids=torch.tensor([list(ids)], device=model.device), use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    return states


def _note(states: list[LayerState], number: int, _: nn.Module, __: Any, output: Any) -> None:
    hidden = (output[0] if isinstance(output, tuple) else output).detach().float()
    finite = hidden[torch.isfinite(hidden)]
    values = finite if finite.numel() else torch.zeros(1)
    last = hidden.reshape(-1, hidden.shape[-1])[-1]
    sample = last[:: max(1, len(last) // _SAMPLE)][:_SAMPLE]
    states.append(
        LayerState(
            layer=number,
            mean=float(values.mean()),
            std=float(values.std(correction=0)),
            rms=float(values.square().mean().sqrt()),
            min=float(values.min()),
            max=float(values.max()),
            not_finite=1 - finite.numel() / hidden.numel(),
            sample=tuple(torch.nan_to_num(sample, 0.0, 0.0, 0.0).tolist()),
        )
    )
