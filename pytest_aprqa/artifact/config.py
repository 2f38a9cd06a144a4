"""What the files of a model say about its shape, in one form for all formats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_aprqa.artifact.architecture import Architecture, architecture
from pytest_aprqa.artifact.config_rope import DEFAULT_THETA
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault

RULE = "G0-CONFIG"

LARGEST = 2**31 - 1
"""No size in a model is larger; GGUF and every engine hold them in 32 bits."""

_LARGEST_FLOAT = 3.4e38

MOST_LAYERS = 10_000
MOST_EXPERTS = 10_000
"""Far more layers, and experts in one, than any model has; more are not enumerated."""


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
        num_experts, num_experts_used: in a layer, and how many of them see a token; None without.
        expert_size, shared_expert_size: intermediate size of an expert and of the one that sees
            every token; None where there is none or `intermediate_size` says it.
        parallel_norms: norms before attention and feed-forward, where these are parallel (Falcon):
            one for both, or one for each.
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
    num_experts: int | None = None
    num_experts_used: int | None = None
    expert_size: int | None = None
    shared_expert_size: int | None = None
    parallel_norms: int | None = None
    dtype: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.num_layers > MOST_LAYERS:
            raise malformed_config(f"{self.num_layers} layers are more than any model has")
        for name in ("rms_norm_eps", "rope_theta"):
            if not 0 < getattr(self, name) < _LARGEST_FLOAT:
                raise malformed_config(
                    f"{name} is {getattr(self, name)}, no positive 32-bit number"
                )
        used, experts = self.num_experts_used or 0, self.num_experts or 0
        if used > experts or experts > MOST_EXPERTS:
            raise malformed_config(f"{used} experts of {experts} see a token, which cannot be")

    @property
    def architecture(self) -> Architecture:
        """What is known of the model type. Raises ArtifactError UNSUPPORTED when nothing is."""
        return architecture(self.model_type)

    @property
    def untied(self) -> bool:
        return not self.tied

    @property
    def one_norm(self) -> bool:
        return self.parallel_norms == 1

    @property
    def two_norms(self) -> bool:
        return self.parallel_norms == 2

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


def malformed_config(message: str) -> ArtifactError:
    """Return the error that a configuration contradicts itself."""
    return ArtifactError(ArtifactFault.MALFORMED, message, rule=RULE, where="config.json")
