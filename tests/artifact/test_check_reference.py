from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pytest_aprqa.artifact.apr_write import write_apr
from pytest_aprqa.artifact.check import check_artifact
from pytest_aprqa.artifact.check_reference import check_reference
from pytest_aprqa.artifact.convert import convert
from pytest_aprqa.artifact.digest import DigestCache
from pytest_aprqa.artifact.files import make_artifact
from pytest_aprqa.artifact.model import Artifact
from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.artifact.tensor_source import TensorSource
from pytest_aprqa.words import Format

NAMES = ("llama", "llama3-rope", "mistral", "granite", "qwen2-yarn", "qwen3", "gemma2", "gemma3")
NAMES = (*NAMES, "phi3", "phi3-longrope", "gpt-neox", "smollm3", "olmo2", "stablelm", "starcoder2")


@pytest.fixture
def reference(tiny_models: Any, tmp_path: Path) -> Artifact:
    copied = shutil.copytree(tiny_models.directory / "llama", tmp_path / "reference")
    return make_artifact(Format.SAFETENSORS, Path(copied), "tests", DigestCache())


@pytest.mark.parametrize("name", NAMES)
def test_conversions_say_what_the_reference_says(
    tiny_models: Any, tmp_path: Path, name: str
) -> None:
    reference = tiny_models.artifact(name)
    for form in (Format.APR, Format.GGUF):
        made = convert(reference, form, tmp_path / form)
        assert check_reference(made, reference).findings == ()


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"rope_theta": 500000.0}, "rope_theta"),
        ({"rms_norm_eps": 1e-5}, "rms_norm_eps"),
        ({"max_position_embeddings": 128}, "max_position_embeddings"),
        (
            {"hf_config": {"rope_parameters": {"rope_type": "linear", "factor": 4.0}}},
            "rope_scaling",
        ),
        ({"tokenizer.eos_token_id": 1}, "eos"),
        ({"tokenizer.add_bos_token": True}, "add_bos"),
        ({"tokenizer.merges": []}, "merges"),
        ({"chat_template": None, "tokenizer.chat_template": None}, "chat_template"),
    ],
)
def test_what_a_converter_changed_is_named(
    reference: Artifact, tmp_path: Path, change: dict[str, Any], where: str
) -> None:
    made = convert(reference, Format.APR, tmp_path / "apr")
    with open_tensors(made.path) as file:
        tensors = [
            TensorSource(name, info.dtype, info.shape, partial(file.raw, name))
            for name, info in file.tensors.items()
        ]
        metadata = {key: v for key, v in {**file.metadata, **change}.items() if v is not None}
        write_apr(tmp_path / "changed.apr", tensors, metadata)
    changed = make_artifact(Format.APR, tmp_path / "changed.apr", "tests", DigestCache())
    assert {finding.where for finding in check_reference(changed, reference).errors} == {where}
    assert not check_artifact(changed).errors  # the file alone does not tell
    assert check_artifact(changed, reference=reference).errors


@pytest.mark.parametrize(("before", "after", "found"), [(3, 1, 1), (1, 3, 1), (3, 4, 0), (1, 4, 0)])
def test_a_control_token_must_not_be_plain_text_nor_the_other_way_round(
    reference: Artifact, tmp_path: Path, before: int, after: int, found: int
) -> None:
    made = convert(reference, Format.APR, tmp_path / "apr")
    with open_tensors(made.path) as file:
        tensors = [
            TensorSource(name, info.dtype, info.shape, partial(file.raw, name))
            for name, info in file.tensors.items()
        ]
        types = list(file.metadata["tokenizer.token_type"])
        types[types.index(before)] = after
        changed = {**file.metadata, "tokenizer.token_type": types}
        write_apr(tmp_path / "changed.apr", tensors, changed)
    artifact = make_artifact(Format.APR, tmp_path / "changed.apr", "tests", DigestCache())
    wheres = [finding.where for finding in check_reference(artifact, reference).errors]
    assert wheres == ["token types"] * found


def test_a_swapped_vocabulary_is_found_at_its_first_token(
    reference: Artifact, tmp_path: Path
) -> None:
    made = convert(reference, Format.GGUF, tmp_path / "gguf")
    path = reference.path / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    vocab = tokenizer["model"]["vocab"]
    by_id = {number: token for token, number in vocab.items()}
    vocab[by_id[50]], vocab[by_id[60]] = 60, 50
    path.write_text(json.dumps(tokenizer))
    (finding,) = check_reference(made, reference).errors
    assert finding.rule == "G0-TOKENIZER-REFERENCE"
    assert finding.message.startswith("token 50 is ")


def test_the_reference_is_not_compared_with_itself(reference: Artifact) -> None:
    assert "compared_with_reference" not in check_artifact(reference, reference=reference).checked
