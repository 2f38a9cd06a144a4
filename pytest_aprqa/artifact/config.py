"""What the files of a model say about its shape, in one form for all formats."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_aprqa.artifact.architecture import Architecture, architecture
from pytest_aprqa.artifact.config_rope import DEFAULT_THETA, Rope, rope_from_hf, rope_to_hf
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.wrong_kind import wrong_kind_is_malformed

RULE = "G0-CONFIG"

LARGEST = 2**31 - 1
"""No size in a model is larger; GGUF and every engine hold them in 32 bits."""

_LARGEST_FLOAT = 3.4e38

MOST_LAYERS = 10_000
"""Far more than any model has; more are not enumerated."""

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
}
# Written in another form than one key per field.
_WRITTEN_APART = ("eos_token_id", "partial_rotary_factor")
# What says how or by what a config was written, not what the model is.
_BOOKKEEPING = frozenset(
    {"architectures", "model_type", "transformers_version", "torch_dtype", "dtype"}
    | {"_name_or_path", "rope_theta", "rope_scaling", "rope_parameters", "rope_local_base_freq"}
)


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The shape of a decoder, by the names transformers uses.

    Attributes:
        model_type: of config.json; names the architecture.
        head_dim: width of one head; not always hidden_size / num_heads.
        rms_norm_eps: epsilon of the norms, LayerNorm's where the architecture has that.
        rope_theta: base of the rotary frequencies.
        rope_scaling: `rope_type` and its parameters as in config.json, without `rope_theta`;
            None for plain RoPE.
        partial_rotary_factor: share of head_dim that is rotated.
        local_rope_theta: base in sliding-window layers, where it differs (Gemma 3).
        tied: the output head is the embedding.
        sliding_window: attention span in tokens, or None.
        eos_token_ids: all ids that end a text, the tokenizer's own first.
        dtype: of the weights as config.json states it ("bfloat16"), or "".
        extra: every other key of config.json with its value.
    """

    model_type: str
    hidden_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    max_position_embeddings: int
    rms_norm_eps: float
    rope_theta: float = DEFAULT_THETA
    rope_scaling: Mapping[str, Any] | None = None
    partial_rotary_factor: float = 1.0
    local_rope_theta: float | None = None
    tied: bool = False
    hidden_act: str | None = None
    sliding_window: int | None = None
    attention_bias: bool = False
    mlp_bias: bool = False
    bos_token_id: int | None = None
    eos_token_ids: tuple[int, ...] = ()
    pad_token_id: int | None = None
    dtype: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.num_layers > MOST_LAYERS:
            raise _malformed(f"{self.num_layers} layers are more than any model has")
        for name in ("rms_norm_eps", "rope_theta"):
            if not 0 < getattr(self, name) < _LARGEST_FLOAT:
                raise _malformed(f"{name} is {getattr(self, name)}, no positive 32-bit number")

    @property
    def architecture(self) -> Architecture:
        """What is known of the model type. Raises ArtifactError UNSUPPORTED when nothing is."""
        return architecture(self.model_type)

    @property
    def untied(self) -> bool:
        return not self.tied

    @property
    def q_size(self) -> int:
        """Rows of the query projection."""
        return self.num_heads * self.head_dim

    @property
    def kv_size(self) -> int:
        """Rows of the key projection, and of the value projection."""
        return self.num_kv_heads * self.head_dim

    @property
    def qkv_size(self) -> int:
        """Rows of a fused query-key-value projection."""
        return self.q_size + 2 * self.kv_size

    @property
    def gate_up_size(self) -> int:
        """Rows of a fused gate-and-up projection."""
        return 2 * self.intermediate_size

    @property
    def attention_scalar(self) -> int:
        """Gemma 2 and 3 divide attention scores by the root of this, as llama.cpp has it.

        It knows the 27B models by their 46 and 62 layers; only they differ from head_dim.
        """
        is_27b = self.num_layers in (46, 62)
        return self.hidden_size // self.num_heads if is_27b else self.head_dim

    @property
    def layer_types(self) -> list[str]:
        """Which layers see everything and which a window, where that alternates."""
        period = self.architecture.sliding_period
        return [
            "sliding_attention" if period and (layer + 1) % period else "full_attention"
            for layer in range(self.num_layers)
        ]

    @property
    def no_rope_layers(self) -> list[int]:
        """SmolLM3: 0 for a layer without rotary embedding, every fourth, else 1."""
        return [int((layer + 1) % 4 != 0) for layer in range(self.num_layers)]


def read_hf_config(directory: Path) -> dict[str, Any]:
    """Return config.json of a directory.

    Raises:
        ArtifactError: MALFORMED when it is missing or no JSON object.
    """
    path = directory / "config.json"
    try:
        config = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise _malformed(
            f"{directory} has no config.json, which says what the tensors are"
        ) from None
    except (ValueError, OSError) as error:
        raise _malformed(f"{path} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise _malformed(f"{path} holds no JSON object")
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
    given = {**known.defaults, **{key: v for key, v in config.items() if v is not None}}
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
        hidden_act=given.get(keys["hidden_act"]),
        sliding_window=_id(given, keys["sliding_window"]),
        attention_bias=bool(given.get(keys["attention_bias"], False)),
        mlp_bias=bool(given.get(keys["mlp_bias"], False)),
        bos_token_id=_id(given, keys["bos_token_id"]),
        eos_token_ids=tuple(int(end) for end in (eos if isinstance(eos, list) else [eos])),
        pad_token_id=_id(given, keys["pad_token_id"]),
        dtype=str(given.get("dtype") or given.get("torch_dtype") or ""),
        extra={
            key: value
            for key, value in config.items()
            if key not in _BOOKKEEPING and key not in keys.values()
        },
    )


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
        key: getattr(config, name) for name, key in keys.items() if name not in _WRITTEN_APART
    }
    return {
        "architectures": [known.hf_class],
        "model_type": known.model_type,
        **{keys.get(name, name): value for name, value in known.fixed.items()},
        **{key: getattr(config, name) for key, name in known.derived.items()},
        **config.extra,
        **{key: value for key, value in values.items() if value is not None},
        **({"eos_token_id": eos[0] if len(eos) == 1 else list(eos)} if eos else {}),
        **({"dtype": config.dtype} if config.dtype else {}),
        "rope_parameters": rope_to_hf(rope),
    }


def _text(config: Mapping[str, Any], key: str) -> str:
    value = config.get(key)
    if not isinstance(value, str):
        raise _malformed(f"config.json: {key} is {value!r}, expected a name")
    return value


def _whole(config: Mapping[str, Any], key: str, default: int | None = None) -> int:
    value = config.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= LARGEST:
        raise _malformed(f"config.json: {key} is {value!r}, expected a positive integer")
    return value


def _id(config: Mapping[str, Any], key: str) -> int | None:
    value = config.get(key)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise _malformed(f"config.json: {key} is {value!r}, expected an integer")
    return value


def _number(config: Mapping[str, Any], key: str) -> float:
    value = config.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _malformed(f"config.json: {key} is {value!r}, expected a number")
    return float(value)


def _malformed(message: str) -> ArtifactError:
    return ArtifactError(ArtifactFault.MALFORMED, message, rule=RULE, where="config.json")
