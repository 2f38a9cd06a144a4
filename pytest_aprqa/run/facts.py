"""What a model's own files say of it, as a playbook states it."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from pytest_aprqa.artifact.config import ModelConfig
from pytest_aprqa.artifact.config_hf import config_from_hf, read_hf_config
from pytest_aprqa.artifact.contents import read_config
from pytest_aprqa.artifact.digest import DigestCache
from pytest_aprqa.artifact.files import make_artifact
from pytest_aprqa.artifact.kernels import kernels_of
from pytest_aprqa.artifact.model import Artifact, ArtifactError, ArtifactFault
from pytest_aprqa.artifact.model_directory import look_at
from pytest_aprqa.artifact.names import required_tensors
from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.words import Format, SizeCategory

CONFIG = "config.json"


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The shape of a model.

    Attributes:
        parameters: elements of all tensors, a tied head once.
        kernels: parts of the architecture, by the words of `kernels_of`.
    """

    architecture: str
    parameters: int
    hidden_dim: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    vocab_size: int
    intermediate_dim: int
    kernels: tuple[str, ...] = ()

    def fields(self) -> dict[str, Any]:
        """Return the facts by the names of a playbook's `model` section."""
        return {
            "size_category": SizeCategory.of(self.parameters).value,
            "expected_hidden_dim": self.hidden_dim,
            "expected_num_layers": self.num_layers,
            "expected_num_heads": self.num_heads,
            "expected_num_kv_heads": self.num_kv_heads,
            "expected_vocab_size": self.vocab_size,
            "expected_intermediate_dim": self.intermediate_dim,
        }


def artifacts_at(path: Path, digests: DigestCache | None = None) -> list[Artifact]:
    """Return the artifact of each format at a path, SafeTensors first.

    Raises:
        ArtifactError: NOT_FOUND when there is none; MALFORMED, ENVIRONMENT.
    """
    found = look_at(path, f"at {path}", {})
    if not found:
        what = "is neither a file nor a directory" if path.exists() else "does not exist"
        what = "holds no model" if path.is_dir() else what
        raise ArtifactError(
            ArtifactFault.NOT_FOUND,
            f"{path} {what}; give a .gguf or .apr file, or a directory with model.safetensors",
            where=str(path),
        )
    known = digests or DigestCache()
    return [
        make_artifact(
            form,
            found[form].path,
            found[form].source,
            known,
            expected_sha256=found[form].expected_sha256,
        )
        for form in Format
        if form in found
    ]


def is_config_alone(directory: Path) -> bool:
    """Whether a directory holds the config.json of a model and no weights. Raises ArtifactError."""
    return (directory / CONFIG).is_file() and not look_at(directory, f"at {directory}", {})


def model_facts(path: Path) -> ModelFacts:
    """Return what the configuration and the tensors of a model say.

    Of a config.json alone, the tensors are those that its architecture has.

    Raises:
        ArtifactError: NOT_FOUND, MALFORMED, UNSUPPORTED or ENVIRONMENT.
    """
    if is_config_alone(path):
        config = config_from_hf(read_hf_config(path))
        return _facts(config, sum(prod(slot.shape) for slot in required_tensors(config)))
    artifact = artifacts_at(path)[0]
    with open_tensors(artifact.path) as file:
        config = read_config(artifact.format, artifact.path, file)
        heads = {"lm_head.weight", "output.weight"} if config.tied else set()
        parameters = sum(
            prod(info.shape) for name, info in file.tensors.items() if name not in heads
        )
    return _facts(config, parameters)


def _facts(config: ModelConfig, parameters: int) -> ModelFacts:
    return ModelFacts(
        architecture=config.model_type,
        parameters=parameters,
        hidden_dim=config.hidden_size,
        num_layers=config.num_layers,
        num_heads=config.num_heads,
        num_kv_heads=config.num_kv_heads,
        vocab_size=config.vocab_size,
        intermediate_dim=config.intermediate_size,
        kernels=kernels_of(config),
    )
