"""A GGUF of a kind that nobody has prepared for is understood whole, or it is said what is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from pytest_aprqa.artifact.architecture import architecture, model_types
from pytest_aprqa.artifact.convert import convert
from pytest_aprqa.artifact.digest import DigestCache
from pytest_aprqa.artifact.files import make_artifact
from pytest_aprqa.artifact.gguf_file import GgufFile
from pytest_aprqa.artifact.gguf_value import GgufType, GgufValue
from pytest_aprqa.artifact.gguf_write import write_gguf
from pytest_aprqa.artifact.model import Artifact, ArtifactError, ArtifactFault
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.artifact.tensor_source import TensorSource
from pytest_aprqa.words import Format

KNOWN = {architecture(name).gguf for name in model_types()}
UNKNOWN = sorted(set(gguf.MODEL_ARCH_NAMES.values()) - KNOWN)
U32, F32, BOOL, STRING = GgufType.UINT32, GgufType.FLOAT32, GgufType.BOOL, GgufType.STRING


@pytest.fixture(scope="module")
def sound(tiny_models: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a GGUF of a llama that another program could have made."""
    place = tmp_path_factory.mktemp("sound") / "gguf"
    return convert(tiny_models.artifact("llama"), Format.GGUF, place).path


Change = Callable[[list[GgufValue], list[TensorSource]], None]


def changed(source: Path, path: Path, change: Change) -> Artifact:
    with GgufFile(source) as file:
        values = list(file.values)
        tensors = [
            TensorSource(name, info.dtype, info.shape, lambda name=name: file.raw(name))
            for name, info in file.tensors.items()
        ]
        change(values, tensors)
        write_gguf(path, tensors, values)
    return make_artifact(Format.GGUF, path, "tests", DigestCache())


def refused(artifact: Artifact, place: Path) -> str:
    with pytest.raises(ArtifactError) as raised:
        convert(artifact, Format.SAFETENSORS, place)
    assert raised.value.fault is ArtifactFault.UNSUPPORTED
    assert not place.exists()
    return raised.value.message


@pytest.mark.parametrize("name", UNKNOWN)
def test_every_architecture_of_llama_cpp_that_is_not_known_is_named(
    sound: Path, tmp_path: Path, name: str
) -> None:
    def rename(values: list[GgufValue], tensors: list[TensorSource]) -> None:
        for number, value in enumerate(values):
            if value.key == "general.architecture":
                values[number] = replace(value, value=name)
            elif value.key.startswith("llama."):
                values[number] = replace(value, key=value.key.replace("llama.", f"{name}.", 1))

    message = refused(changed(sound, tmp_path / "model.gguf", rename), tmp_path / "made")
    assert f"{name!r} is not known; known are" in message


@pytest.mark.parametrize(
    ("key", "kind", "value"),
    [
        ("expert_gating_func", U32, 2),
        ("attention.scale", F32, 0.3),
        ("attention.clamp_kqv", F32, 8.0),
        ("attention.causal", BOOL, False),
        ("attention.value_length", U32, 8),
        ("attn_logit_softcapping", F32, 30.0),
        ("logit_scale", F32, 0.5),
        ("rope.dimension_sections", U32, 4),
        ("a.key.of.tomorrow", STRING, "anything"),
    ],
)
def test_a_key_that_may_change_what_is_computed_is_named_and_not_dropped(
    sound: Path, tmp_path: Path, key: str, kind: GgufType, value: object
) -> None:
    def add(values: list[GgufValue], tensors: list[TensorSource]) -> None:
        values[:] = [v for v in values if v.key != f"llama.{key}"]
        values.append(GgufValue(f"llama.{key}", kind, value))

    message = refused(changed(sound, tmp_path / "model.gguf", add), tmp_path / "made")
    assert f"llama.{key} is" in message
    assert "not understood" in message


@pytest.mark.parametrize(
    "name",
    ["blk.0.attn_q_norm.weight", "blk.1.ffn_gate_exps.weight", "blk.0.attn_sinks", "cls.weight"],
)
def test_a_tensor_that_has_no_place_is_named(sound: Path, tmp_path: Path, name: str) -> None:
    def add(values: list[GgufValue], tensors: list[TensorSource]) -> None:
        tensors.append(TensorSource.of(name, np.ones((4, 4), np.float32), DType.F32))

    message = refused(changed(sound, tmp_path / "model.gguf", add), tmp_path / "made")
    assert f"tensor {name!r} has no place in a llama model" in message


@pytest.mark.parametrize(
    ("key", "kind", "value"),
    [
        ("llama.expert_count", U32, 0),
        ("llama.attention.causal", BOOL, True),
        ("llama.rope.scaling.finetuned", BOOL, False),
        ("llama.tensor_data_layout", STRING, "Meta AI original pth"),
        ("general.a.key.of.tomorrow", STRING, "anything"),
    ],
)
def test_what_changes_nothing_does_not_keep_a_file_out(
    sound: Path, tmp_path: Path, key: str, kind: GgufType, value: object
) -> None:
    def add(values: list[GgufValue], tensors: list[TensorSource]) -> None:
        values.append(GgufValue(key, kind, value))

    made = convert(
        changed(sound, tmp_path / "model.gguf", add), Format.SAFETENSORS, tmp_path / "made"
    )
    assert made.derived


@pytest.mark.parametrize("value", [False, True])
def test_llama_cpp_takes_a_stablelm_with_a_norm_before_its_feed_forward_for_sequential(
    tiny_models: Any, tmp_path: Path, value: bool
) -> None:
    made = convert(tiny_models.artifact("stablelm"), Format.GGUF, tmp_path / "gguf")
    key = "stablelm.use_parallel_residual"

    def add(values: list[GgufValue], tensors: list[TensorSource]) -> None:
        values.append(GgufValue(key, BOOL, value))

    def drop_norm(values: list[GgufValue], tensors: list[TensorSource]) -> None:
        add(values, tensors)
        tensors[:] = [tensor for tensor in tensors if ".ffn_norm." not in tensor.name]

    assert convert(
        changed(made.path, tmp_path / "one.gguf", add), Format.SAFETENSORS, tmp_path / "one"
    ).derived
    parallel = changed(made.path, tmp_path / "other.gguf", drop_norm)
    if value:
        assert f"{key} is True, which is not understood" in refused(parallel, tmp_path / "other")


@pytest.mark.parametrize("dtype", [DType.F16, DType.Q8_0])
def test_a_mix_of_shapes_and_types_that_no_other_test_has_gives_the_logits_of_llama_cpp(
    tiny_models: Any,
    tmp_path: Path,
    ask_llama_cpp: Callable[..., dict[str, Any]],
    ask_transformers: Callable[..., dict[str, Any]],
    dtype: DType,
) -> None:
    """The file is read by llama.cpp; what is imported from it by transformers."""
    source = tiny_models.artifact("llama-tied")
    file = convert(source, Format.GGUF, tmp_path / "gguf", dtype.value)

    def reorder(values: list[GgufValue], tensors: list[TensorSource]) -> None:
        values.reverse()
        values.append(GgufValue("general.alignment", U32, 128))
        tensors.reverse()

    other = changed(file.path, tmp_path / "other.gguf", reorder)
    imported = convert(other, Format.SAFETENSORS, tmp_path / "imported")
    theirs = ask_llama_cpp([other.path])[str(other.path)]["logprobs"]
    ours = np.array(ask_transformers([imported.path])[str(imported.path)]["logprobs"])
    compared = 0
    for expected, told in zip(ours, theirs, strict=True):
        if told:
            found = np.full_like(expected, -np.inf)
            found[[int(token) for token in told]] = list(told.values())
            assert found.argmax() == expected.argmax()
            assert float((np.exp(expected) * (expected - found)).sum()) < 1e-3
            compared += 1
    assert compared >= 4
