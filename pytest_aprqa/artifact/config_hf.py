"""The configuration of a model as config.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_aprqa.artifact.architecture import Architecture, architecture
from pytest_aprqa.artifact.config import LARGEST, RULE, ModelConfig, malformed_config
from pytest_aprqa.artifact.config_falcon import falcon_in_new_words
from pytest_aprqa.artifact.config_rope import Rope, rope_from_hf, rope_to_hf
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.model_file import read_text
from pytest_aprqa.artifact.wrong_kind import wrong_kind_is_malformed

# Field of ModelConfig -> key of config.json; an architecture may name its own key.
_KEYS = {
    "hidden_size": "hidden_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "num_kv_heads": "num_key_value_heads",
    "head_dim": "head_dim",
    "intermediate_size": "intermediate_size",
    "vocab_size": "vocab_size",
    "max_position_embeddings": "max_position_embeddings",
    "rms_norm_eps": "rms_norm_eps",
    "tied": "tie_word_embeddings",
    "hidden_act": "hidden_act",
    "sliding_window": "sliding_window",
    "attention_bias": "attention_bias",
    "mlp_bias": "mlp_bias",
    "bos_token_id": "bos_token_id",
    "eos_token_id": "eos_token_id",
    "pad_token_id": "pad_token_id",
    "partial_rotary_factor": "partial_rotary_factor",
    "num_experts": "num_experts",
    "num_experts_used": "num_experts_per_tok",
    "expert_size": "moe_intermediate_size",
    "shared_expert_size": "shared_expert_intermediate_size",
    "parallel_norms": "num_ln_in_parallel_attn",
}
# Written in another form than one key per field.
_WRITTEN_APART = ("eos_token_id", "partial_rotary_factor")
# What says how or by what a config was written, not what the model is.
_BOOKKEEPING = frozenset(
    {"architectures", "model_type", "transformers_version", "torch_dtype", "dtype"}
    | {"_name_or_path", "rope_theta", "rope_scaling", "rope_parameters", "rope_local_base_freq"}
)


def read_hf_config(directory: Path) -> dict[str, Any]:
    """Return config.json of a directory.

    Raises:
        ArtifactError: MALFORMED when it is missing, no JSON object, or no file to be read.
    """
    path = directory / "config.json"
    try:
        config = json.loads(read_text(path))
    except FileNotFoundError:
        raise malformed_config(
            f"{directory} has no config.json, which says what the tensors are"
        ) from None
    except (ValueError, OSError) as error:
        raise malformed_config(f"{path} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise malformed_config(f"{path} holds no JSON object")
    return config


def hf_keys(known: Architecture) -> dict[str, str]:
    """Return for each field of ModelConfig its key in the config.json of an architecture."""
    return {**_KEYS, **known.keys}


def config_from_hf(config: Mapping[str, Any]) -> ModelConfig:
    """Understand a config.json, old style (`rope_theta`) or new (`rope_parameters`).

    Raises:
        ArtifactError: UNSUPPORTED for an unknown model type; MALFORMED (G0-CONFIG) when a value is
            missing or of the wrong kind.
    """
    with wrong_kind_is_malformed(RULE, "config.json"):
        return _understand(config)


def _understand(config: Mapping[str, Any]) -> ModelConfig:
    known = architecture(_text(config, "model_type"))
    keys = hf_keys(known)
    given = _spelt_as_known(known, config)
    num_heads = _whole(given, keys["num_heads"])
    hidden_size = _whole(given, keys["hidden_size"])
    rope = rope_from_hf(given, keys["partial_rotary_factor"])
    eos = given.get(keys["eos_token_id"], [])
    return ModelConfig(
        model_type=known.model_type,
        hidden_size=hidden_size,
        num_layers=_whole(given, keys["num_layers"]),
        num_heads=num_heads,
        num_kv_heads=_whole(given, keys["num_kv_heads"], num_heads),
        head_dim=_whole(given, keys["head_dim"], hidden_size // num_heads),
        intermediate_size=_whole(given, keys["intermediate_size"]),
        vocab_size=_whole(given, keys["vocab_size"]),
        max_position_embeddings=_whole(given, keys["max_position_embeddings"]),
        rms_norm_eps=_number(given, keys["rms_norm_eps"]),
        rope_theta=rope.theta,
        rope_scaling=rope.scaling,
        partial_rotary_factor=rope.partial,
        local_rope_theta=rope.local_theta,
        tied=bool(given.get(keys["tied"], False)),
        hidden_act=given.get(keys["hidden_act"], known.fixed.get("hidden_act")),
        sliding_window=_id(given, keys["sliding_window"]),
        attention_bias=bool(given.get(keys["attention_bias"], False)),
        mlp_bias=bool(given.get(keys["mlp_bias"], False)),
        bos_token_id=_id(given, keys["bos_token_id"]),
        eos_token_ids=tuple(int(end) for end in (eos if isinstance(eos, list) else [eos])),
        pad_token_id=_id(given, keys["pad_token_id"]),
        **{field: _whole(given, keys[field]) for field in known.expert_sizes},
        parallel_norms=_id(given, keys["parallel_norms"]),
        dtype=str(given.get("dtype") or given.get("torch_dtype") or ""),
        extra={
            **{
                key: known.defaults[key]
                for key in known.fixed
                if key in known.defaults and key not in keys.values()
            },
            **{
                key: value
                for key, value in config.items()
                if key not in _BOOKKEEPING
                and key not in keys.values()
                and key not in known.spellings
                and key not in known.only
            },
        },
    )


def _spelt_as_known(known: Architecture, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config.json with its keys as `Architecture.keys` spells them, and with defaults.

    A default stands for a key that is not there; null says that there is no value.

    Raises:
        ArtifactError: UNSUPPORTED, when a value asks for tensors that are not known.
    """
    spelt = {known.spellings.get(key, key): value for key, value in config.items()}
    given = {key: value for key, value in spelt.items() if value is not None}
    defaults = {key: value for key, value in known.defaults.items() if key not in spelt}
    given = {**defaults, **falcon_in_new_words(known.model_type, given)}
    for key, meanings in known.meant.items():
        if given.get(key) in meanings:
            given[key] = meanings[given[key]]
    for key, only in known.only.items():
        if given.get(key, only) != only:
            raise ArtifactError(
                ArtifactFault.UNSUPPORTED,
                f"{known.model_type} with {key}={given[key]!r} is not supported, only {only!r}",
                where="config.json",
            )
    return given


def config_to_hf(config: ModelConfig) -> dict[str, Any]:
    """Return the config.json of a model, as transformers 5 writes it."""
    known = config.architecture
    keys = hf_keys(known)
    eos = config.eos_token_ids
    rope = Rope(
        theta=config.rope_theta,
        scaling=config.rope_scaling,
        partial=config.partial_rotary_factor,
        local_theta=config.local_rope_theta,
    )
    values: dict[str, Any] = {
        key: getattr(config, name)
        for name, key in keys.items()
        if key and name not in _WRITTEN_APART
    }
    return {
        "architectures": [known.hf_class],
        "model_type": known.model_type,
        **known.only,
        **{keys.get(name, name): value for name, value in known.fixed.items()},
        **{key: getattr(config, name) for key, name in known.derived.items()},
        **config.extra,
        **{k: value for k, value in values.items() if value is not None or k in known.defaults},
        **({"eos_token_id": eos[0] if len(eos) == 1 else list(eos)} if eos else {}),
        **({"dtype": config.dtype} if config.dtype else {}),
        "rope_parameters": rope_to_hf(rope),
    }


def _text(config: Mapping[str, Any], key: str) -> str:
    value = config.get(key)
    if not isinstance(value, str):
        raise malformed_config(f"config.json: {key} is {value!r}, expected a name")
    return value


def _whole(config: Mapping[str, Any], key: str, default: int | None = None) -> int:
    value = config.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= LARGEST:
        raise malformed_config(f"config.json: {key} is {value!r}, expected a positive integer")
    return value


def _id(config: Mapping[str, Any], key: str) -> int | None:
    value = config.get(key)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise malformed_config(f"config.json: {key} is {value!r}, expected an integer")
    return value


def _number(config: Mapping[str, Any], key: str) -> float:
    value = config.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise malformed_config(f"config.json: {key} is {value!r}, expected a number")
    return float(value)
