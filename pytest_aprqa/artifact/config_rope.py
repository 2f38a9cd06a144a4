"""Rotary embeddings in config.json: one object since transformers 5, scattered keys before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DEFAULT_THETA = 10000.0
"""The base that transformers and llama.cpp assume when none is stated."""


@dataclass(frozen=True, slots=True)
class Rope:
    """How positions are rotated in.

    Attributes:
        theta: base of the frequencies.
        scaling: `rope_type` and its parameters, or None for plain RoPE.
        partial: share of a head that is rotated.
        local_theta: base in sliding-window layers, where it differs.
    """

    theta: float
    scaling: Mapping[str, Any] | None
    partial: float
    local_theta: float | None


def rope_from_hf(config: Mapping[str, Any], partial_key: str) -> Rope:
    """Understand what a config.json says of RoPE, in the new spelling or the old.

    Args:
        config: the whole file, defaults filled in.
        partial_key: what the architecture calls the share that is rotated.

    Raises:
        TypeError, ValueError, AttributeError: a value is of the wrong kind.
    """
    parameters = config.get("rope_parameters") or config.get("rope_scaling") or {}
    local = config.get("rope_local_base_freq")
    if "full_attention" in parameters:
        local = (parameters.get("sliding_attention") or {}).get("rope_theta", local)
        parameters = parameters["full_attention"]
    kind = parameters.get("rope_type", parameters.get("type", "default"))
    kind = "longrope" if kind == "su" else kind  # as Phi-3 first called it
    apart = ("rope_theta", "partial_rotary_factor", "type", "rope_type")
    scaling = {key: value for key, value in parameters.items() if key not in apart}
    stated_theta = config.get("rope_theta", DEFAULT_THETA)
    stated_partial = config.get(partial_key, 1.0)
    return Rope(
        theta=float(parameters.get("rope_theta", stated_theta)),
        scaling=None if kind == "default" else {"rope_type": kind, **scaling},
        partial=float(parameters.get("partial_rotary_factor", stated_partial)),
        local_theta=None if local is None else float(local),
    )


def rope_to_hf(rope: Rope) -> dict[str, Any]:
    """Return the `rope_parameters` of config.json."""
    full: dict[str, Any] = {"rope_type": "default", **(rope.scaling or {})}
    full["rope_theta"] = rope.theta
    if rope.partial != 1.0:
        full["partial_rotary_factor"] = rope.partial
    if rope.local_theta is None:
        return full
    sliding = {"rope_type": "default", "rope_theta": rope.local_theta}
    return {"full_attention": full, "sliding_attention": sliding}
