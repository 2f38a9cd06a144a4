"""Which parts an architecture has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_aprqa.artifact.config import ModelConfig
from pytest_aprqa.artifact.contents import model_contents
from pytest_aprqa.artifact.kernels import kernels_of
from pytest_aprqa.playbook.families import KERNELS


@pytest.fixture(scope="module")
def llama(tiny_models: Any) -> ModelConfig:
    with model_contents(tiny_models.artifact("llama")) as contents:
        config: ModelConfig = contents.config
        return config


def test_every_part_that_is_named_has_questions(tiny_models: Any) -> None:
    for name in tiny_models.names:
        with model_contents(tiny_models.artifact(name)) as contents:
            kernels = kernels_of(contents.config)
        assert {*kernels} <= {*KERNELS}
        assert "rope" in kernels


def test_the_heads_that_share_keys_and_values_tell_the_attention(llama: ModelConfig) -> None:
    assert kernels_of(replace(llama, num_heads=4, num_kv_heads=4))[0] == "mha"
    assert kernels_of(replace(llama, num_heads=4, num_kv_heads=2))[0] == "gqa"
    assert kernels_of(replace(llama, num_heads=4, num_kv_heads=1))[0] == "mqa"


def test_a_gated_feed_forward_is_one_only_with_its_activation(llama: ModelConfig) -> None:
    assert "swiglu" in kernels_of(replace(llama, hidden_act="silu"))
    assert "swiglu" in kernels_of(replace(llama, hidden_act=None))
    assert "swiglu" not in kernels_of(replace(llama, hidden_act="gelu"))


def test_a_tied_head_and_biases_are_told(llama: ModelConfig) -> None:
    assert "tied-embeddings" in kernels_of(replace(llama, tied=True))
    assert "tied-embeddings" not in kernels_of(replace(llama, tied=False))
    assert "bias" in kernels_of(replace(llama, attention_bias=True))
    assert "bias" not in kernels_of(replace(llama, attention_bias=False))
