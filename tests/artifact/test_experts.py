"""Mixtures of experts: in SafeTensors apart or in stacks, in GGUF in stacks."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_aprqa.artifact.check import check_artifact
from pytest_aprqa.artifact.convert import convert
from pytest_aprqa.artifact.digest import DigestCache
from pytest_aprqa.artifact.files import make_artifact
from pytest_aprqa.artifact.gguf_file import GgufFile
from pytest_aprqa.artifact.gguf_write import write_gguf
from pytest_aprqa.artifact.kernels import kernels_of
from pytest_aprqa.artifact.model import Artifact, ArtifactError, ArtifactFault
from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.artifact.safetensors_write import write_safetensors
from pytest_aprqa.artifact.stated import stated_by
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.artifact.tensor_source import TensorSource
from pytest_aprqa.judge.invariants import judge_tensors
from pytest_aprqa.judge.judgement import Judgement
from pytest_aprqa.run.invariants import compare_artifacts, compare_dtypes, compare_names
from pytest_aprqa.words import Format, Outcome

MODELS = ("mixtral", "mixtral-fused", "qwen2-moe", "qwen3-moe", "granite-moe", "granite-moe-fused")
EXPERT = "model.layers.1.mlp.experts.{}.up_proj.weight"


def compared(reference: Artifact, artifact: Artifact) -> list[Judgement]:
    return [
        compare_names(reference, artifact),
        compare_dtypes(reference, artifact),
        judge_tensors(compare_artifacts(reference, artifact)),
    ]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("form", [Format.APR, Format.GGUF, Format.SAFETENSORS])
def test_a_sound_conversion_passes_g0_and_i_2_to_i_4(
    tiny_models: Any, tmp_path: Path, name: str, form: Format
) -> None:
    source = tiny_models.artifact(name)
    made = convert(source, form, tmp_path / "made")
    assert check_artifact(made, reference=source).findings == ()
    for judgement in compared(source, made):
        assert judgement.outcome is Outcome.CORROBORATED
        assert judgement.compared["tensors"] > 40


@pytest.mark.parametrize("name", ["qwen2-moe", "granite-moe"])
@pytest.mark.parametrize("quantization", ["Q8_0", "Q4_0"])
def test_quantised_experts_stay_within_rounding_and_routers_stay_as_they_are(
    tiny_models: Any, tmp_path: Path, name: str, quantization: str
) -> None:
    source = tiny_models.artifact(name)
    made = convert(source, Format.GGUF, tmp_path / "made", quantization)
    assert [j.outcome for j in compared(source, made)] == [Outcome.CORROBORATED] * 3
    with open_tensors(made.path) as file:
        tensors = file.tensors
        assert tensors["blk.0.ffn_gate_exps.weight"].dtype is DType(quantization)
        routers = [info for name, info in tensors.items() if "ffn_gate_inp" in name]
        assert routers
        assert {info.dtype for info in routers} == {DType.F32}


def test_rows_shorter_than_the_blocks_of_apr_are_held_against_the_blocks_they_lie_in(
    tiny_models: Any, tmp_path: Path
) -> None:
    source = tiny_models.artifact("qwen2-moe")  # rows of 48 in its shared expert, blocks of 32
    made = convert(source, Format.APR, tmp_path / "made", "int4")
    judgement = judge_tensors(compare_artifacts(source, made))
    assert judgement.outcome is Outcome.CORROBORATED, judgement.reason


def test_types_that_cannot_be_stacked_are_refused_and_named(
    tiny_models: Any, tmp_path: Path
) -> None:
    with pytest.raises(ArtifactError, match=r"input_linear.* is a stack.*APR_Q8") as raised:
        convert(tiny_models.artifact("granite-moe"), Format.APR, tmp_path / "made", "int8")
    assert raised.value.fault is ArtifactFault.UNSUPPORTED


def test_llama_cpp_says_of_quantised_experts_nearly_what_the_original_says(
    tiny_models: Any, tmp_path: Path, ask_llama_cpp: Callable[..., dict[str, Any]]
) -> None:
    names = ("mixtral", "qwen2-moe", "granite-moe")
    made = {
        name: convert(tiny_models.artifact(name), Format.GGUF, tmp_path / name, "Q8_0").path
        for name in names
    }
    said = ask_llama_cpp([*made.values()])
    for name, path in made.items():
        divergences = []
        for expected, told in zip(
            np.array(tiny_models.logprobs[name]), said[str(path)]["logprobs"], strict=True
        ):
            if told:
                found = np.full_like(expected, -np.inf)
                found[[int(token) for token in told]] = list(told.values())
                divergences.append(float((np.exp(expected) * (expected - found)).sum()))
        assert len(divergences) >= 4
        assert max(divergences) < 0.02


def spoilt_config(source: Artifact, directory: Path, **changes: Any) -> Artifact:
    shutil.copytree(source.path, directory)
    config = {**json.loads((directory / "config.json").read_text()), **changes}
    stated = {key: value for key, value in config.items() if value is not None}
    (directory / "config.json").write_text(json.dumps(stated))
    return make_artifact(Format.SAFETENSORS, directory, "tests", DigestCache())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_experts": 3}, "belongs to expert 3 of 3"),
        ({"num_experts": 5}, "experts.4.gate_proj.weight' is missing"),
        ({"num_experts": 5}, "it is made for 4 experts, not for 5"),
        ({"num_experts": None}, "num_experts is None, expected a positive integer"),
        ({"num_experts_per_tok": 5}, "5 experts of 4 see a token"),
        ({"moe_intermediate_size": 48}, r"has shape \[32, 64\], by the configuration .*\[48, 64\]"),
        ({"shared_expert_intermediate_size": 32}, "shared_expert.gate_proj.weight' has shape"),
    ],
)
def test_a_count_of_experts_that_the_tensors_contradict_is_an_error_of_g0(
    tiny_models: Any, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    spoilt = spoilt_config(tiny_models.artifact("qwen2-moe"), tmp_path / "spoilt", **changes)
    errors = [finding.message for finding in check_artifact(spoilt).errors]
    assert any(re.search(words, message) for message in errors), errors


@pytest.mark.parametrize("name", ["qwen3-moe-fused", "granite-moe"])
def test_a_stack_of_more_experts_than_configured_is_an_error_of_g0(
    tiny_models: Any, tmp_path: Path, name: str
) -> None:
    source = tiny_models.artifact(name)
    spoilt = spoilt_config(source, tmp_path / "spoilt", num_local_experts=2)
    with open_tensors(source.path) as file:
        stacks = [info for info in file.tensors.values() if len(info.shape) == 3]
    messages = [finding.message for finding in check_artifact(spoilt).errors]
    experts = stacks[0].shape[0]
    assert any(f"made for {experts} experts, not for 2" in message for message in messages)


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("qwen2-moe", {"decoder_sparse_step": 2}, "decoder_sparse_step=2 is not supported, only 1"),
        ("qwen3-moe", {"mlp_only_layers": [0]}, r"mlp_only_layers=\[0\] is not supported"),
        ("falcon-7b", {"alibi": True}, "falcon with alibi=True is not supported, only False"),
        ("falcon-7b", {"parallel_attn": False}, "parallel_attn=False is not supported"),
        ("falcon-40b", {"bias": True}, "bias=True is not supported"),
    ],
)
def test_what_would_be_another_architecture_is_named_and_no_fault_of_the_model(
    tiny_models: Any, tmp_path: Path, name: str, changes: dict[str, Any], words: str
) -> None:
    other = spoilt_config(tiny_models.artifact(name), tmp_path / "other", **changes)
    with pytest.raises(ArtifactError, match=words) as raised:
        stated_by(other)
    assert raised.value.fault is ArtifactFault.UNSUPPORTED


@pytest.mark.parametrize(("name", "says"), [("qwen3-moe", False), ("qwen2-moe", True)])
def test_gguf_holds_only_the_weighting_of_experts_that_llama_cpp_computes(
    tiny_models: Any, tmp_path: Path, name: str, says: bool
) -> None:
    other = spoilt_config(tiny_models.artifact(name), tmp_path / "other", norm_topk_prob=says)
    with pytest.raises(ArtifactError, match=f"norm_topk_prob={says} cannot be written as GGUF"):
        convert(other, Format.GGUF, tmp_path / "made")


def test_what_transformers_assumes_of_the_weighting_is_assumed(
    tiny_models: Any, tmp_path: Path
) -> None:
    source = tiny_models.artifact("qwen3-moe")
    unsaid = spoilt_config(source, tmp_path / "unsaid", norm_topk_prob=None)
    with pytest.raises(ArtifactError, match="norm_topk_prob=False cannot be written as GGUF"):
        convert(unsaid, Format.GGUF, tmp_path / "made")


def test_i_4_sees_two_experts_of_a_stack_that_changed_places(
    tiny_models: Any, tmp_path: Path
) -> None:
    source = tiny_models.artifact("qwen2-moe")
    sound = convert(source, Format.GGUF, tmp_path / "sound")
    path = tmp_path / "swapped.gguf"
    with GgufFile(sound.path) as file:

        def data(name: str) -> Any:
            raw = file.raw(name)
            parts = raw.reshape(4, -1)[[0, 2, 1, 3]] if name == "blk.1.ffn_up_exps.weight" else raw
            return parts.reshape(-1)

        tensors = [
            TensorSource(name, info.dtype, info.shape, lambda name=name: data(name))
            for name, info in file.tensors.items()
        ]
        write_gguf(path, tensors, list(file.values))
    swapped = make_artifact(Format.GGUF, path, "tests", DigestCache())
    judgement = judge_tensors(compare_artifacts(source, swapped))
    assert judgement.outcome is Outcome.FALSIFIED
    assert EXPERT.format(1) in judgement.reason


def test_sizes_of_experts_that_older_files_leave_out_are_inferred_as_llama_cpp_does(
    tiny_models: Any, tmp_path: Path
) -> None:
    source = tiny_models.artifact("qwen2-moe-bf16")
    sound = convert(source, Format.GGUF, tmp_path / "sound")
    path = tmp_path / "older.gguf"
    with GgufFile(sound.path) as file:
        tensors = [
            TensorSource(name, info.dtype, info.shape, lambda name=name: file.raw(name))
            for name, info in file.tensors.items()
        ]
        kept = [value for value in file.values if "expert_" not in value.key.removesuffix("_count")]
        kept += [value for value in file.values if value.key.endswith("expert_used_count")]
        write_gguf(path, tensors, kept)
    older = make_artifact(Format.GGUF, path, "tests", DigestCache())
    assert stated_by(older).config == stated_by(sound).config
    assert stated_by(older).config.expert_size == 48


def test_an_expert_that_is_a_copy_of_another_is_a_warning(tiny_models: Any, tmp_path: Path) -> None:
    source = tiny_models.artifact("qwen3-moe")
    copy = tmp_path / "copy"
    shutil.copytree(source.path, copy)
    (copy / "model.safetensors").unlink()
    with open_tensors(source.path) as file:
        tensors = [
            TensorSource(
                name,
                info.dtype,
                info.shape,
                lambda name=name: file.raw(EXPERT.format(2) if name == EXPERT.format(0) else name),
            )
            for name, info in file.tensors.items()
        ]
        write_safetensors(copy / "model.safetensors", tensors)
    report = check_artifact(make_artifact(Format.SAFETENSORS, copy, "tests", DigestCache()))
    (finding,) = report.findings
    assert finding.rule == "G0-REPEATED-TENSOR"
    assert EXPERT.format(2) in finding.message


def test_gates_in_the_experts_of_mixtral_are_gates(tiny_models: Any) -> None:
    config, _ = stated_by(tiny_models.artifact("mixtral"))
    assert "swiglu" in kernels_of(config)
