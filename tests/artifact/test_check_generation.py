from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_aprqa.artifact.check_generation import RULE, check_generation
from pytest_aprqa.artifact.config_hf import config_from_hf
from pytest_aprqa.artifact.model import Artifact
from pytest_aprqa.observation import Finding, Severity
from pytest_aprqa.words import Format

CONFIG = config_from_hf(
    {
        "model_type": "llama",
        "vocab_size": 100,
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 96,
        "max_position_embeddings": 256,
        "rms_norm_eps": 1e-5,
        "eos_token_id": 2,
    }
)


def findings(directory: Path, content: bytes | None) -> tuple[Finding, ...]:
    if content is not None:
        (directory / "generation_config.json").write_bytes(content)
    artifact = Artifact(Format.SAFETENSORS, directory, (), "", "")
    return check_generation(artifact, CONFIG).findings


@pytest.mark.parametrize(
    "stated",
    [
        {},
        {"eos_token_id": None, "bos_token_id": 0},
        {"eos_token_id": [2, 7, 99], "pad_token_id": 99},
        {"eos_token_id": [7, 2], "pad_token_id": -1, "temperature": 0.6, "do_sample": True},
    ],
)
def test_what_sound_models_state_is_taken(tmp_path: Path, stated: dict[str, Any]) -> None:
    assert findings(tmp_path, json.dumps(stated).encode()) == ()


def test_a_model_needs_no_generation_configuration(tmp_path: Path) -> None:
    assert findings(tmp_path, None) == ()


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b'{"top_p": NaN}'])
def test_what_cannot_be_read_is_found(tmp_path: Path, content: bytes) -> None:
    (finding,) = findings(tmp_path, content)
    assert (finding.rule, finding.severity) == (RULE, Severity.ERROR)
    assert "generation_config.json cannot be read" in finding.message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("eos_token_id", 100),
        ("eos_token_id", [2, 100]),
        ("eos_token_id", [2, -1]),
        ("eos_token_id", [2, "</s>"]),
        ("bos_token_id", True),
        ("pad_token_id", 1.0),
    ],
)
def test_a_token_that_is_none_is_found(tmp_path: Path, key: str, value: Any) -> None:
    (finding,) = findings(tmp_path, json.dumps({key: value}).encode())
    assert (finding.rule, finding.severity) == (RULE, Severity.ERROR)
    assert finding.message.startswith(f"{key} is ")


def test_ends_that_are_none_in_config_json_are_a_warning(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, b'{"eos_token_id": [7, 8]}')
    assert finding.severity is Severity.WARNING
    assert "is [7, 8], in config.json [2]" in finding.message
