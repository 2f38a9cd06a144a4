"""G0 on a whole artifact: weights, configuration, tokenizer and template against each other."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_aprqa.artifact.check_generation import check_generation
from pytest_aprqa.artifact.check_reference import check_reference
from pytest_aprqa.artifact.check_tensors import check_tensors
from pytest_aprqa.artifact.check_tokenizer import check_tokenizer
from pytest_aprqa.artifact.config import RULE, ModelConfig
from pytest_aprqa.artifact.config_hf import read_hf_config
from pytest_aprqa.artifact.contents import read_config
from pytest_aprqa.artifact.integrity import NO_MODEL_RULES, check_structure, merged
from pytest_aprqa.artifact.model import Artifact, ArtifactError, ArtifactFault
from pytest_aprqa.artifact.model_file import read_whole
from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.artifact.strict_json import JsonError, parse_object
from pytest_aprqa.artifact.uncollected import uncollected
from pytest_aprqa.observation import FileReport, Finding, Severity
from pytest_aprqa.playbook.model_spec import ModelSpec
from pytest_aprqa.words import Format

REMOTE_CODE_RULE = "G0-REMOTE-CODE"
EXPECTED_RULE = "G0-EXPECTED"

# What a playbook may expect -> field of ModelConfig.
_EXPECTED = {
    "expected_hidden_dim": "hidden_size",
    "expected_num_layers": "num_layers",
    "expected_num_heads": "num_heads",
    "expected_num_kv_heads": "num_kv_heads",
    "expected_vocab_size": "vocab_size",
    "expected_intermediate_dim": "intermediate_size",
}


@uncollected()
def check_artifact(
    artifact: Artifact, model: ModelSpec | None = None, reference: Artifact | None = None
) -> FileReport:
    """Check everything about an artifact's files that can be known without running it.

    Args:
        artifact: to check.
        model: what the playbook expects of it.
        reference: SafeTensors whose configuration and tokenizer it must have, and whose weights
            are read beside its own; None to check it by itself.

    Returns:
        Findings, errors first; a file that is bad in any way is a finding.

    Raises:
        ArtifactError: UNSUPPORTED, when the files are sound as far as they are understood but the
            architecture, or a tokenizer inside GGUF or APR, is unknown; NOT_FOUND; ENVIRONMENT.
    """
    other = reference if reference != artifact else None
    structure = check_structure(artifact, other)
    if any(finding.rule in NO_MODEL_RULES for finding in structure.errors):
        return structure
    try:
        reports = [structure, _check_model(artifact, model)]
        if other is not None:
            reports.append(check_reference(artifact, other))
        return merged(reports)
    except ArtifactError as error:
        if error.fault is ArtifactFault.UNSUPPORTED and structure.errors:
            return structure
        if error.fault is not ArtifactFault.MALFORMED:
            raise
        if any(finding.message == error.message for finding in structure.findings):
            return structure  # the container itself does not open; that has been said
        finding = Finding(error.rule or RULE, error.message, where=error.where)
        return merged((structure, FileReport((finding,))))


def _check_model(artifact: Artifact, model: ModelSpec | None) -> FileReport:
    remote = FileReport(tuple(_remote_code(artifact)))
    with open_tensors(artifact.path) as file:
        config = read_config(artifact.format, artifact.path, file)
        stated = FileReport(tuple(_unexpected_config(config, model)), {"config": 1})
        return merged(
            (
                remote,
                stated,
                check_tensors(file, config),
                check_tokenizer(artifact, config),
                check_generation(artifact, config),
            )
        )


def _remote_code(artifact: Artifact) -> Iterator[Finding]:
    """Find what asks transformers to run Python code that comes with the model."""
    if artifact.format is not Format.SAFETENSORS:
        return
    read_hf_config(artifact.path)  # its absence is a finding of its own
    for name in ("config.json", "tokenizer_config.json"):
        path = artifact.path / name
        try:
            stated = parse_object(read_whole(path)) if path.exists() else {}
        except JsonError as error:
            yield Finding(RULE, f"{name} is not valid JSON: {error}", where=name)
            continue
        if stated.get("auto_map"):
            yield Finding(
                REMOTE_CODE_RULE,
                f"{name} has an auto_map: the model needs code of its own to load, "
                "and such code is never run",
                where=name,
            )


def _unexpected_config(config: ModelConfig, model: ModelSpec | None) -> Iterator[Finding]:
    """Compare the configuration with itself and with what the playbook expects."""
    if config.num_heads % config.num_kv_heads:
        yield Finding(
            RULE,
            f"{config.num_heads} heads cannot share {config.num_kv_heads} key-value heads evenly",
        )
    if config.head_dim % 2:
        yield Finding(RULE, f"head_dim is {config.head_dim}, rotary embeddings need an even one")
    for key, field in _EXPECTED.items() if model is not None else ():
        expected, found = getattr(model, key), getattr(config, field)
        if expected is not None and found != expected:
            message = f"{field} is {found}, the playbook expects {expected} ({key})"
            yield Finding(EXPECTED_RULE, message, Severity.ERROR)
