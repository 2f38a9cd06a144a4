from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_aprqa.artifact.apr_write import write_apr
from pytest_aprqa.artifact.check import check_artifact
from pytest_aprqa.artifact.convert import convert
from pytest_aprqa.artifact.digest import DigestCache
from pytest_aprqa.artifact.files import make_artifact
from pytest_aprqa.artifact.model import Artifact, ArtifactError, ArtifactFault
from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.artifact.safetensors_write import write_safetensors
from pytest_aprqa.artifact.tensor_source import TensorSource
from pytest_aprqa.observation import FileReport, Severity
from pytest_aprqa.playbook.model_spec import ModelSpec
from pytest_aprqa.words import Format

Q = "model.layers.1.self_attn.q_proj.weight"
OUT = "model.layers.0.self_attn.o_proj.weight"
UP = "model.layers.0.mlp.up_proj.weight"
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"

Edit = Callable[[dict[str, TensorSource]], None]


@pytest.fixture
def model(tiny_models: Any, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_models.directory / "llama-tied", tmp_path / "model"))


def artifact(path: Path, form: Format = Format.SAFETENSORS) -> Artifact:
    return make_artifact(form, path, "tests", DigestCache())


def rules(report: FileReport) -> set[str]:
    return {finding.rule for finding in report.errors}


def edit_json(path: Path, **changes: Any) -> None:
    stated = json.loads(path.read_text())
    path.write_text(json.dumps({**stated, **changes}))


def edit_weights(model: Path, edit: Edit) -> None:
    with open_tensors(model) as file:
        tensors = {
            name: TensorSource(name, info.dtype, info.shape, partial(file.raw, name))
            for name, info in file.tensors.items()
        }
        edit(tensors)
        write_safetensors(model / "edited", list(tensors.values()))
    (model / "edited").replace(model / "model.safetensors")


def reshape(tensor: TensorSource, *shape: int) -> TensorSource:
    return TensorSource(tensor.name, tensor.dtype, shape, tensor.data)


@pytest.mark.parametrize("name", ["llama", "llama-tied", "qwen2", "gemma3", "gpt-neox", "phi3"])
def test_a_sound_model_has_no_finding_in_any_format(
    tiny_models: Any, tmp_path: Path, name: str
) -> None:
    source = tiny_models.artifact(name)
    for form in Format:
        made = source if form is Format.SAFETENSORS else convert(source, form, tmp_path / form)
        report = check_artifact(made)
        assert report.findings == ()
        assert report.checked["required_tensors"] == len(tiny_models_tensors(source))
        assert report.checked["vocabulary"] > 256


def tiny_models_tensors(source: Artifact) -> list[str]:
    with open_tensors(source.path) as file:
        return list(file.tensors)


@pytest.mark.parametrize(
    ("change", "rule", "words"),
    [
        ({"num_hidden_layers": 3}, "G0-MISSING-TENSOR", "model.layers.2.* is missing"),
        ({"num_hidden_layers": 1}, "G0-CONFIG", "belongs to layer 1 of 1"),
        ({"hidden_size": 32, "head_dim": 16}, "F-LAYOUT-CONTRACT-001", "must be .400, 32."),
        ({"vocab_size": 300}, "F-LAYOUT-CONTRACT-001", "must be .300, 64."),
        ({"num_key_value_heads": 4}, "F-LAYOUT-CONTRACT-001", "k_proj.* must be .64, 64."),
        ({"head_dim": 8}, "F-LAYOUT-CONTRACT-001", "q_proj.* must be .32, 64."),
        ({"intermediate_size": 64}, "F-LAYOUT-CONTRACT-001", "must be .64, 64."),
        ({"tie_word_embeddings": False}, "G0-MISSING-TENSOR", "'lm_head.weight' is missing"),
        ({"num_key_value_heads": 3}, "G0-CONFIG", "4 heads cannot share 3"),
        ({"hidden_size": None}, "G0-CONFIG", "hidden_size is None"),
        ({"attention_bias": True}, "G0-MISSING-TENSOR", "q_proj.bias' is missing"),
        ({"bos_token_id": 999}, "G0-TOKENIZER", "bos_token is id 999"),
        ({"eos_token_id": [2, 999]}, "G0-TOKENIZER", "is id 999"),
        ({"auto_map": {"AutoModel": "code.Model"}}, "G0-REMOTE-CODE", "never run"),
    ],
)
def test_a_config_that_contradicts_the_tensors_is_found(
    model: Path, change: dict[str, Any], rule: str, words: str
) -> None:
    edit_json(model / "config.json", **change)
    report = check_artifact(artifact(model))
    assert rule in rules(report)
    messages = [finding.message for finding in report.errors if finding.rule == rule]
    assert any(re.search(words, message) for message in messages)


def drop_tensor(tensors: dict[str, TensorSource]) -> None:
    del tensors[OUT]


def swap_dimensions(tensors: dict[str, TensorSource]) -> None:
    tensors[UP] = reshape(tensors[UP], *reversed(tensors[UP].shape))


def other_head(tensors: dict[str, TensorSource]) -> None:
    rolled = np.roll(tensors[EMBEDDING].data(), 256)
    tensors[HEAD] = TensorSource(
        HEAD, tensors[EMBEDDING].dtype, tensors[EMBEDDING].shape, lambda: rolled
    )


def not_a_number(tensors: dict[str, TensorSource]) -> None:
    values = tensors[Q].data().copy().view(np.float32)
    values[7] = np.nan
    tensors[Q] = TensorSource(Q, tensors[Q].dtype, tensors[Q].shape, lambda: values.view(np.uint8))


@pytest.mark.parametrize(
    ("edit", "rule", "words"),
    [
        (drop_tensor, "G0-MISSING-TENSOR", OUT),
        (swap_dimensions, "F-LAYOUT-CONTRACT-001", "listed in reverse"),
        (other_head, "F-LAYOUT-CONTRACT-003", "declared tied"),
        (not_a_number, "F-DATA-QUALITY-002", "q_proj"),
    ],
)
def test_damaged_weights_are_found(model: Path, edit: Edit, rule: str, words: str) -> None:
    edit_weights(model, edit)
    report = check_artifact(artifact(model))
    assert rules(report) == {rule}
    assert words in report.errors[0].message


def test_a_tensor_too_many_is_a_warning(model: Path) -> None:
    def add(tensors: dict[str, TensorSource]) -> None:
        other = TensorSource(
            "model.extra.weight", tensors[OUT].dtype, tensors[OUT].shape, tensors[OUT].data
        )
        tensors["model.extra.weight"] = other

    edit_weights(model, add)
    report = check_artifact(artifact(model))
    (finding,) = report.findings
    assert (finding.rule, finding.severity) == ("G0-UNEXPECTED-TENSOR", Severity.WARNING)


def test_many_missing_tensors_are_counted_not_listed(model: Path) -> None:
    edit_json(model / "config.json", num_hidden_layers=40)
    missing = [f for f in check_artifact(artifact(model)).errors if f.rule == "G0-MISSING-TENSOR"]
    assert len(missing) == 6
    assert missing[-1].message == "and 337 more such tensors"


def test_an_apr_file_must_hold_its_head(model: Path, tmp_path: Path) -> None:
    made = convert(artifact(model), Format.APR, tmp_path / "apr")
    with open_tensors(made.path) as file:
        assert HEAD in file.tensors
        tensors = [
            TensorSource(name, info.dtype, info.shape, partial(file.raw, name))
            for name, info in file.tensors.items()
            if name != HEAD
        ]
        write_apr(tmp_path / "headless.apr", tensors, dict(file.metadata))
    report = check_artifact(artifact(tmp_path / "headless.apr", Format.APR))
    assert rules(report) == {"F-LAYOUT-CONTRACT-003"}


def test_a_stated_digest_that_differs_is_found(model: Path) -> None:
    sound = artifact(model)
    stated = replace(sound, expected_sha256={"config.json": "0" * 64})
    assert rules(check_artifact(stated)) == {"G0-DIGEST"}


def test_what_the_playbook_expects_is_compared(model: Path) -> None:
    expected = ModelSpec(hf_repo="o/m", expected_num_layers=2, expected_hidden_dim=1024)
    report = check_artifact(artifact(model), expected)
    assert [f.rule for f in report.errors] == ["G0-EXPECTED"]
    assert "hidden_size is 64, the playbook expects 1024" in report.errors[0].message


@pytest.mark.parametrize("content", [None, "{", '{"version": "1.0"}'])
def test_a_tokenizer_must_be_there_and_load(model: Path, content: str | None) -> None:
    path = model / "tokenizer.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    assert rules(check_artifact(artifact(model))) == {"G0-TOKENIZER"}


def test_a_tokenizer_must_fit_the_embedding(model: Path) -> None:
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["beyond"] = 4000
    (model / "tokenizer.json").write_text(json.dumps(tokenizer))
    report = check_artifact(artifact(model))
    assert rules(report) == {"G0-TOKENIZER"}
    assert "id 4000, the embedding has 400 rows" in report.errors[0].message


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{% for m in messages %}", "cannot be rendered"),
        ("{{ raise_exception('no') }}", "refuses a plain question: no"),
        ("{{ bos_token }}<|im_start|>assistant", "drops the user's message"),
    ],
)
def test_a_template_must_work(model: Path, template: str, words: str) -> None:
    (model / "chat_template.jinja").write_text(template)
    report = check_artifact(artifact(model))
    assert rules(report) == {"G0-TEMPLATE"}
    assert words in report.errors[0].message


def test_a_base_model_without_a_template_is_sound(model: Path) -> None:
    (model / "chat_template.jinja").unlink()
    report = check_artifact(artifact(model))
    assert [(f.rule, f.severity) for f in report.findings] == [("G0-TEMPLATE", Severity.INFO)]


@pytest.mark.parametrize("form", [Format.APR, Format.GGUF])
def test_a_truncated_file_is_a_finding(model: Path, tmp_path: Path, form: Format) -> None:
    made = convert(artifact(model), form, tmp_path / "made")
    content = made.path.read_bytes()
    made.path.write_bytes(content[: len(content) // 2])
    report = check_artifact(artifact(made.path, form))
    assert len(report.errors) >= 1


def test_a_missing_config_is_a_finding(model: Path) -> None:
    (model / "config.json").unlink()
    report = check_artifact(artifact(model))
    assert rules(report) == {"G0-CONFIG"}
    assert "has no config.json" in report.errors[0].message


def test_an_unknown_architecture_is_no_fault_of_the_file(model: Path) -> None:
    edit_json(model / "config.json", model_type="mamba9000")
    with pytest.raises(ArtifactError, match="mamba9000") as caught:
        check_artifact(artifact(model))
    assert caught.value.fault is ArtifactFault.UNSUPPORTED


def test_an_unknown_architecture_does_not_hide_damage(model: Path) -> None:
    edit_json(model / "config.json", model_type="mamba9000")
    edit_weights(model, not_a_number)
    assert rules(check_artifact(artifact(model))) == {"F-DATA-QUALITY-002"}


@pytest.mark.parametrize(("bytes_", "found"), [(0, 0), (1, 1), (1000, 1)])
def test_a_gguf_ends_with_its_last_tensor(
    model: Path, tmp_path: Path, bytes_: int, found: int
) -> None:
    made = convert(artifact(model), Format.GGUF, tmp_path / "gguf")
    path = shutil.copy(made.path, tmp_path / "model.gguf")
    with Path(path).open("ab") as file:
        file.write(b"\1" * bytes_)
    report = check_artifact(artifact(Path(path), Format.GGUF))
    assert [finding.rule for finding in report.errors] == ["G0-OFFSETS"] * found
