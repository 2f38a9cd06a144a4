"""Which GGUF keys may be left unread, since they change nothing in what a model computes."""

from __future__ import annotations

import math
from collections.abc import Container
from typing import Any

from pytest_aprqa.artifact.config import ModelConfig

# Said twice, or of interest to other tools only.
_NEVER = ("vocab_size", "tensor_data_layout", "rope.scaling.finetuned")
# llama.cpp has a value for these when they are absent, or one that means nothing.
_NEUTRAL = {
    "attention.causal": True,
    "attention.clamp_kqv": 0,
    "attention.max_alibi_bias": 0,
    "expert_count": 0,
    "expert_used_count": 0,
    "pooling_type": 0,
    "rope.scaling.yarn_beta_fast": 32,
    "rope.scaling.yarn_beta_slow": 1,
    "rope.scaling.yarn_attn_factor": 1,
}
_WIDTHS = ("attention.value_length", "attention.key_length_swa", "attention.value_length_swa")
_TOLERANCE = 1e-6  # FLOAT32


def has_no_effect(suffix: str, value: Any, config: ModelConfig, tensors: Container[str]) -> bool:
    """Whether a model computes the same with and without a key.

    Args:
        suffix: the key without its architecture.
        value: it has in the file.
        config: all that was understood of the file.
        tensors: the names of those it has.
    """
    scaling = config.rope_scaling or {}
    if suffix in _NEVER or (suffix.startswith("rope.scaling.") and not scaling):
        return True
    if suffix in _WIDTHS:
        return bool(value == config.head_dim)
    if suffix == "rope.dimension_count_swa":
        return bool(value == int(config.head_dim * config.partial_rotary_factor))
    if suffix == "rope.scaling.attn_factor":
        factor = 1.0
        if scaling.get("rope_type") == "longrope":
            factor = longrope_attention(config, scaling.get("original_max_position_embeddings"))
        return math.isclose(value, factor, rel_tol=_TOLERANCE)
    if suffix == "use_parallel_residual":
        # llama.cpp goes by the norm that only a sequential feed-forward has.
        return not value or "blk.0.ffn_norm.weight" in tensors
    if suffix == "attention.sliding_window_pattern":
        slides = [kind == "sliding_attention" for kind in config.layer_types]
        return bool(value in (config.architecture.sliding_period, slides))
    return suffix in _NEUTRAL and bool(value == _NEUTRAL[suffix])


def longrope_attention(config: ModelConfig, original: int | None) -> float:
    """Return what LongRoPE multiplies cosine and sine by, when config.json does not state it.

    sqrt(1 + ln(scale) / ln(original)), scale = context / original (LongRoPE, arXiv:2402.13753;
    transformers, `_compute_longrope_parameters`).
    """
    stated = (config.rope_scaling or {}).get("attention_factor")
    if stated is not None:
        return float(stated)
    if not original or config.max_position_embeddings <= original:
        return 1.0
    scale = config.max_position_embeddings / original
    return math.sqrt(1 + math.log(scale) / math.log(original))
