from __future__ import annotations

import pytest

from pytest_aprqa.artifact.architecture import (
    architecture,
    architecture_of_gguf,
    model_types,
)
from pytest_aprqa.artifact.config import ModelConfig
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.names import Naming, pattern_of


@pytest.mark.parametrize("model_type", model_types())
def test_tensor_names_are_those_of_gguf_py(model_type: str) -> None:
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    known = architecture(model_type)
    (arch,) = (arch for arch, name in MODEL_ARCH_NAMES.items() if name == known.gguf)
    names = get_tensor_name_map(arch, 4)
    always_tied = known.fixed.get("tied", False)
    for rule in known.tensors:
        if always_tied and rule.when == "untied":
            continue
        # gguf-py's own converter renames these before it looks them up, and has no name for halves.
        if "{e}" in rule.hf or "[e,0/2]" in rule.hf or "[e,1/2]" in rule.hf:
            continue
        hf, gguf = (name.replace("{}", "3").removesuffix("[e]") for name in (rule.hf, rule.gguf))
        assert names.get_name(hf, try_suffixes=(".weight", ".bias")) == gguf


@pytest.mark.parametrize("model_type", model_types())
def test_no_two_tensors_share_a_name_and_every_dimension_exists(model_type: str) -> None:
    known = architecture(model_type)
    assert known.tensors
    either = {"one_norm", "two_norms"}
    for naming in Naming:
        for when in ("one_norm", "two_norms"):
            rules = [rule for rule in known.tensors if rule.when not in either - {when}]
            names = [pattern_of(rule, naming) for rule in rules]
            assert len(set(names)) == len(names)
    for rule in known.tensors:
        for dimension in (*rule.shape, *([rule.when] if rule.when else [])):
            assert isinstance(dimension, int) or hasattr(ModelConfig, dimension)
        assert ("{}" in rule.hf) == ("{}" in rule.gguf)


def test_a_type_takes_the_tables_of_the_one_it_extends_less_what_it_drops() -> None:
    qwen2 = {rule.hf: rule for rule in architecture("qwen2").tensors}
    assert "model.layers.{}.mlp.gate_proj.weight" in qwen2
    assert "model.layers.{}.self_attn.o_proj.bias" not in qwen2
    assert qwen2["model.layers.{}.self_attn.q_proj.bias"].when == ""
    assert architecture("qwen2").fixed["hidden_act"] == "silu"


def test_a_gguf_architecture_that_two_types_share_means_the_one_of_its_name() -> None:
    assert architecture_of_gguf("llama").model_type == "llama"
    assert architecture_of_gguf("gptneox").model_type == "gpt_neox"


def test_experts_tell_types_apart_that_share_a_gguf_architecture() -> None:
    assert architecture_of_gguf("llama", experts=True).model_type == "mixtral"
    assert architecture_of_gguf("qwen2", experts=True).model_type == "qwen2"
    assert architecture_of_gguf("qwen3moe", experts=True).model_type == "qwen3_moe"


@pytest.mark.parametrize("look_up", [architecture, architecture_of_gguf])
def test_an_unknown_architecture_is_unsupported_and_named(look_up: object) -> None:
    assert callable(look_up)
    with pytest.raises(ArtifactError, match=r"'mamba9000'.*llama") as caught:
        look_up("mamba9000")
    assert caught.value.fault is ArtifactFault.UNSUPPORTED
