"""The configuration of a model as GGUF key-values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pytest_aprqa.artifact.architecture import Architecture, architecture_of_gguf
from pytest_aprqa.artifact.config import LARGEST, RULE, ModelConfig
from pytest_aprqa.artifact.config_gguf_effect import has_no_effect, longrope_attention
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.names import Naming, flags_of
from pytest_aprqa.artifact.rope_factors import (
    LONG_FACTORS,
    ROPE_FACTORS,
    SHORT_FACTORS,
    llama3_scaling,
)
from pytest_aprqa.artifact.rope_yarn import (
    ATTENTION_KEY,
    yarn_attention_from_gguf,
    yarn_to_gguf,
)
from pytest_aprqa.artifact.tensor_file import TensorFile
from pytest_aprqa.artifact.wrong_kind import wrong_kind_is_malformed

_RMS_EPS = "attention.layer_norm_rms_epsilon"
_LAYER_NORM_EPS = "attention.layer_norm_epsilon"
_EMBEDDING = "token_embd.weight"
# Field of ModelConfig -> key.
_EXPERT_KEYS = {
    "num_experts": "expert_count",
    "num_experts_used": "expert_used_count",
    "expert_size": "expert_feed_forward_length",
    "shared_expert_size": "expert_shared_feed_forward_length",
}


def config_from_gguf(file: TensorFile) -> ModelConfig:
    """Understand the key-values of a GGUF file, and what only its tensors tell.

    Raises:
        ArtifactError: UNSUPPORTED for an unknown architecture or a layer-dependent shape; MALFORMED
            (G0-CONFIG) when a key is missing or of the wrong kind.
    """
    with wrong_kind_is_malformed(RULE, file.paths[0].name):
        return _understand(file)


def _understand(file: TensorFile) -> ModelConfig:
    keys = _Keys(file)
    known = keys.known
    hidden_size, num_heads = keys.whole("embedding_length"), keys.whole("attention.head_count")
    head_dim = keys.whole("attention.key_length", hidden_size // num_heads)
    rotated = keys.whole("rope.dimension_count", head_dim)
    theta = keys.number("rope.freq_base", 10000.0)
    local_theta = keys.optional("rope.freq_base_swa")
    window = keys.optional("attention.sliding_window")
    eos = tuple(
        file.metadata[key]
        for key in ("tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id")
        if key in file.metadata
    )
    flags = flags_of(known, file.tensors, Naming.GGUF)
    config = ModelConfig(
        model_type=known.model_type,
        hidden_size=hidden_size,
        num_layers=keys.whole("block_count"),
        num_heads=num_heads,
        num_kv_heads=keys.whole("attention.head_count_kv", num_heads),
        head_dim=head_dim,
        intermediate_size=keys.whole("feed_forward_length"),
        vocab_size=keys.vocab_size(),
        max_position_embeddings=keys.whole("context_length"),
        rms_norm_eps=keys.number(_LAYER_NORM_EPS if known.layer_norm else _RMS_EPS),
        rope_theta=theta,
        partial_rotary_factor=rotated / head_dim,
        local_rope_theta=None if local_theta is None else _shortest(local_theta),
        sliding_window=None if window is None else int(window),
        bos_token_id=file.metadata.get("tokenizer.ggml.bos_token_id"),
        eos_token_ids=tuple(dict.fromkeys(eos)),
        pad_token_id=file.metadata.get("tokenizer.ggml.padding_token_id"),
        extra={
            hf: _shortest(value)
            for hf, suffix in known.extra.items()
            if (value := keys.optional(suffix)) is not None
        },
        tied=flags.get("tied", False),
        attention_bias=flags.get("attention_bias", False),
        mlp_bias=flags.get("mlp_bias", False),
        parallel_norms=(2 if flags["two_norms"] else 1) if "two_norms" in flags else None,
    )
    config = replace(
        config,
        hidden_act=known.fixed.get("hidden_act"),
        attention_bias=known.fixed.get("attention_bias", config.attention_bias),
        rope_scaling=_rope_scaling(keys, file, config),
    )
    config = replace(config, **_expert_sizes(keys, config.intermediate_size))
    for suffix, value in keys.left().items():
        if not has_no_effect(suffix, value, config, file.tensors):
            raise ArtifactError(
                ArtifactFault.UNSUPPORTED,
                f"{known.gguf}.{suffix} is {value!r}, which is not understood; a model read "
                "without it might compute something else",
                where=f"{known.gguf}.{suffix}",
            )
    return config


def _expert_sizes(keys: _Keys, feed_forward: int) -> dict[str, Any]:
    """Return what the keys say of experts; older files leave sizes out, which llama.cpp infers."""
    sizes = {field: keys.whole(_EXPERT_KEYS[field]) for field in keys.known.expert_sizes[:2]}
    inferred = {
        "expert_size": feed_forward // sizes.get("num_experts_used", 1),
        "shared_expert_size": feed_forward,
    }
    for field in keys.known.expert_sizes[2:]:
        sizes[field] = keys.whole(_EXPERT_KEYS[field], inferred[field])
    return sizes


def config_to_gguf(config: ModelConfig) -> dict[str, int | float | bool | str | list[bool]]:
    """Return the architecture's key-values, prefix included.

    Integers are meant as UINT32, numbers as FLOAT32.

    Raises:
        ArtifactError: UNSUPPORTED when the configuration asks for something GGUF cannot say;
            MALFORMED when it holds a value of the wrong kind.
    """
    with wrong_kind_is_malformed(RULE, "config.json"):
        return _key_values(config)


def _key_values(config: ModelConfig) -> dict[str, int | float | bool | str | list[bool]]:
    known = config.architecture
    _refuse_what_gguf_cannot_say(config)
    values: dict[str, Any] = {
        "block_count": config.num_layers,
        "context_length": context_in_gguf(config),
        "embedding_length": config.hidden_size,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_heads,
        "attention.head_count_kv": config.num_kv_heads,
        "attention.key_length": config.head_dim,
        "attention.value_length": config.head_dim,
        _LAYER_NORM_EPS if known.layer_norm else _RMS_EPS: config.rms_norm_eps,
        "rope.dimension_count": int(config.head_dim * config.partial_rotary_factor),
        "rope.freq_base": config.rope_theta,
        "vocab_size": config.vocab_size,
        **_rope_keys(config),
    }
    if config.local_rope_theta is not None:
        values["rope.freq_base_swa"] = config.local_rope_theta
    if config.sliding_window is not None and "use_sliding_window" not in known.fixed:
        values["attention.sliding_window"] = config.sliding_window
    for field, suffix in _EXPERT_KEYS.items():
        if getattr(config, field) is not None:
            values[suffix] = getattr(config, field)
    for hf, suffix in known.extra.items():
        value = config.extra.get(hf, known.defaults.get(hf))
        if value is not None:
            values[suffix] = value
    return {f"{known.gguf}.{suffix}": value for suffix, value in values.items()}


def context_in_gguf(config: ModelConfig) -> int:
    """Return the context length, in tokens, up to which llama.cpp computes what the model does.

    That is the window, where llama.cpp would let every token see all that came before.
    """
    window = config.sliding_window if config.architecture.window_lost else None
    return min(config.max_position_embeddings, window or config.max_position_embeddings)


class _Keys:
    """The key-values of one file, read under its architecture's prefix."""

    def __init__(self, file: TensorFile) -> None:
        name = file.metadata.get("general.architecture")
        if not isinstance(name, str):
            raise _malformed(f"general.architecture is {name!r}, expected a name")
        self.file = file
        experts = bool(file.metadata.get(f"{name}.expert_count"))
        self.known: Architecture = architecture_of_gguf(name, experts)
        self._read: set[str] = set()

    def left(self) -> dict[str, Any]:
        """Return the architecture's keys, by suffix, that nobody has asked for."""
        prefix = f"{self.known.gguf}."
        return {
            suffix: value
            for key, value in self.file.metadata.items()
            if (suffix := key.removeprefix(prefix)) != key and suffix not in self._read
        }

    def optional(self, suffix: str) -> Any:
        self._read.add(suffix)
        return self.file.metadata.get(f"{self.known.gguf}.{suffix}")

    def whole(self, suffix: str, default: int | None = None) -> int:
        value = self.optional(suffix)
        value = default if value is None else value
        if isinstance(value, list | tuple) and len(set(value)) == 1:
            value = value[0]
        if isinstance(value, list | tuple):
            raise ArtifactError(
                ArtifactFault.UNSUPPORTED,
                f"{self.known.gguf}.{suffix} differs from layer to layer, which is not supported",
            )
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= LARGEST:
            raise _malformed(
                f"{self.known.gguf}.{suffix} is {value!r}, expected a positive integer"
            )
        return value

    def number(self, suffix: str, default: float | None = None) -> float:
        value = self.optional(suffix)
        value = default if value is None else value
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise _malformed(f"{self.known.gguf}.{suffix} is {value!r}, expected a number")
        return float(_shortest(value))

    def vocab_size(self) -> int:
        """Return the rows of the embedding: the key is optional, the tensor is not."""
        if _EMBEDDING in self.file.tensors:
            return self.file.tensors[_EMBEDDING].shape[0]
        return self.whole("vocab_size")


def _shortest(value: Any) -> Any:
    """Return the shortest decimal that is this FLOAT32, so that 1e-05 stays 1e-05."""
    return float(str(np.float32(value))) if isinstance(value, float) else value


def _rope_scaling(keys: _Keys, file: TensorFile, config: ModelConfig) -> dict[str, Any] | None:
    if ROPE_FACTORS in file.tensors:
        scaling = llama3_scaling(file.read(ROPE_FACTORS), config.rope_theta, config.head_dim)
        if scaling is None:
            raise ArtifactError(
                ArtifactFault.UNSUPPORTED,
                f"{ROPE_FACTORS} follows from no RoPE scaling we know; "
                "give the SafeTensors the file was made from",
                where=ROPE_FACTORS,
            )
        return scaling
    original = keys.optional("rope.scaling.original_context_length")
    if LONG_FACTORS in file.tensors:
        return {
            "rope_type": "longrope",
            "long_factor": [_shortest(float(f)) for f in file.read(LONG_FACTORS)],
            "short_factor": [_shortest(float(f)) for f in file.read(SHORT_FACTORS)],
            "original_max_position_embeddings": original,
        }
    kind = keys.optional("rope.scaling.type")
    if kind in (None, "none"):
        return None
    scaling = {"rope_type": kind, "factor": keys.number("rope.scaling.factor")}
    if original is not None:
        scaling["original_max_position_embeddings"] = original
    if kind == "yarn":
        stated = yarn_attention_from_gguf(scaling["factor"], keys.optional(ATTENTION_KEY))
        scaling |= {key: _shortest(value) for key, value in stated.items()}
    return scaling


def _rope_keys(config: ModelConfig) -> dict[str, Any]:
    scaling = config.rope_scaling or {}
    kind = scaling.get("rope_type")
    if kind is None or kind == "llama3":  # llama3 is told by the tensor of factors
        return {}
    keys: dict[str, Any] = {}
    original = scaling.get("original_max_position_embeddings")
    if kind in ("linear", "yarn"):
        keys = {"rope.scaling.type": kind, "rope.scaling.factor": float(scaling["factor"])}
        keys |= yarn_to_gguf(scaling) if kind == "yarn" else {}
    elif kind == "longrope":
        key = "original_max_position_embeddings"
        original = config.extra.get(key, original or config.architecture.defaults.get(key))
        keys = {ATTENTION_KEY: longrope_attention(config, original)}
    else:
        raise ArtifactError(ArtifactFault.UNSUPPORTED, f"GGUF cannot express RoPE scaling {kind!r}")
    if original is not None:
        keys["rope.scaling.original_context_length"] = int(original)
    return keys


def _refuse_what_gguf_cannot_say(config: ModelConfig) -> None:
    known = config.architecture
    only = {**known.fixed, **{key: getattr(config, name) for key, name in known.derived.items()}}
    for key, possible in only.items():
        value = config.extra.get(key, getattr(config, key, None))
        if value is not None and value != possible:
            raise ArtifactError(
                ArtifactFault.UNSUPPORTED,
                f"{config.model_type} with {key}={value!r} cannot be written as GGUF, "
                f"which knows only {possible!r}",
            )


def _malformed(message: str) -> ArtifactError:
    return ArtifactError(ArtifactFault.MALFORMED, message, rule=RULE)
