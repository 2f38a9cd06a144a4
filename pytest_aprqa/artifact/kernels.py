"""Which parts a model's architecture has, by the words of generated questions."""

from __future__ import annotations

from pytest_aprqa.artifact.config import ModelConfig
from pytest_aprqa.artifact.names import required_tensors


def kernels_of(config: ModelConfig) -> tuple[str, ...]:
    """Return the parts of a model that questions can lean on, keys of `playbook.families.KERNELS`."""
    names = [slot.hf for slot in required_tensors(config)]
    # GGUF does not name the activation; of the gated ones only Gemma's is another.
    other = (
        config.model_type.startswith("gemma")
        if config.hidden_act is None
        else (config.hidden_act not in ("silu", "swish"))
    )
    gates = (".gate_", ".w1.", ".input_linear.")  # the latter two in experts of Mixtral and Granite
    gated = any(gate in name for name in names for gate in gates) and not other
    present = {
        _attention(config): True,
        "rope": True,  # no architecture without is read
        "bias": any(name.endswith(".bias") and "proj" in name for name in names),
        "tied-embeddings": config.tied,
        "swiglu": gated,
    }
    return tuple(name for name, there in present.items() if there)


def _attention(config: ModelConfig) -> str:
    if config.num_kv_heads == config.num_heads:
        return "mha"
    return "mqa" if config.num_kv_heads == 1 else "gqa"
