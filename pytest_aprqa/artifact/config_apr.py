"""The configuration of a model as APR metadata."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pytest_aprqa.artifact.architecture import architecture
from pytest_aprqa.artifact.config import RULE, ModelConfig
from pytest_aprqa.artifact.config_hf import config_from_hf, config_to_hf, hf_keys
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.tensor_file import TensorFile
from pytest_aprqa.artifact.wrong_kind import wrong_kind_is_malformed

HF_CONFIG = "hf_config"
"""Our own key: what config.json says beyond the fields APR has names for."""

_ROPE_NEOX = 2  # rotation of split halves, as the rows of Hugging Face weights are laid out

# Fields of ModelConfig that APR has its own name for, the same one. Never an alias of these: a file
# with both loses all its metadata in `apr`.
_FIELDS = (
    "hidden_size",
    "num_layers",
    "num_heads",
    "num_kv_heads",
    "head_dim",
    "intermediate_size",
    "vocab_size",
    "max_position_embeddings",
    "rms_norm_eps",
)


def config_to_apr(config: ModelConfig) -> dict[str, Any]:
    """Return the metadata fields of a configuration, `architecture` and `model_type` included."""
    known = config.architecture
    keys = hf_keys(known)
    own = {keys[field] for field in _FIELDS}
    rest = {key: value for key, value in config_to_hf(config).items() if key not in own}
    return {
        "model_type": known.model_type,
        "architecture": known.gguf,
        "hf_architecture": known.hf_class,
        "hf_model_type": known.model_type,
        **{field: getattr(config, field) for field in _FIELDS},
        "rope_theta": config.rope_theta,
        "rope_type": _ROPE_NEOX,
        "tied_embeddings": config.tied,
        HF_CONFIG: rest,
    }


def config_from_apr(file: TensorFile) -> ModelConfig:
    """Understand the metadata of an APR file, ours or one that upstream's importer wrote.

    Raises:
        ArtifactError: UNSUPPORTED for an unknown architecture; MALFORMED (G0-CONFIG) when a field
            is missing or of the wrong kind.
    """
    metadata = file.metadata
    model_type = metadata.get("hf_model_type") or metadata.get("architecture")
    if not isinstance(model_type, str):
        raise ArtifactError(
            ArtifactFault.MALFORMED,
            "APR metadata: architecture is missing, expected a name such as 'llama'",
            rule=RULE,
            where=file.paths[0].name,
        )
    with wrong_kind_is_malformed(RULE, file.paths[0].name):
        keys = hf_keys(architecture(model_type))
        hf = {**(metadata.get(HF_CONFIG) or {}), "model_type": model_type}
        hf |= {keys[field]: metadata[field] for field in _FIELDS if metadata.get(field) is not None}
        if "tied_embeddings" in metadata:
            hf[keys["tied"]] = metadata["tied_embeddings"]
        config = config_from_hf(hf)
        theta = metadata.get("rope_theta")
        return config if theta is None else replace(config, rope_theta=float(theta))
