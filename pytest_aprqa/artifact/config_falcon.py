"""Falcon's config.json of before the "new decoder architecture", said in its words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def falcon_in_new_words(model_type: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config.json with what older Falcons leave unsaid; one of other models as it is.

    In the old architecture queries share one key head (`multi_query`) or have one each, and one
    norm serves attention and feed-forward; in the new one `num_kv_heads` and
    `num_ln_in_parallel_attn` say so. The tensors are the same (transformers, `modeling_falcon.py`).
    """
    if model_type != "falcon":
        return dict(config)
    said = {"multi_query": True, **config}
    said.setdefault("ffn_hidden_size", 4 * said.get("hidden_size", 0))
    if said.get("new_decoder_architecture"):
        said.setdefault("num_ln_in_parallel_attn", 2)
        # The new architecture is parallel whatever else is said.
        return {**said, "parallel_attn": True}
    heads = 1 if said["multi_query"] else said.get("num_attention_heads")
    return {
        **said,
        "num_kv_heads": heads,
        "num_ln_in_parallel_attn": 1,
        "new_decoder_architecture": True,
    }
