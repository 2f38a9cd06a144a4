from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_aprqa.artifact.architecture import model_types
from pytest_aprqa.artifact.config import ModelConfig
from pytest_aprqa.artifact.config_gguf import config_to_gguf
from pytest_aprqa.artifact.config_hf import config_from_hf, config_to_hf, read_hf_config
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.names import required_tensors

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 100,
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
    "hidden_act": "silu",
    "eos_token_id": 2,
}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def test_sizes_that_follow_from_others_are_computed() -> None:
    config = config_from_hf(LLAMA)
    assert (config.head_dim, config.q_size, config.kv_size) == (8, 48, 16)
    assert (config.qkv_size, config.gate_up_size) == (80, 192)
    assert (config.tied, config.untied) == (False, True)


def test_an_explicit_head_width_wins() -> None:
    config = config_from_hf({**LLAMA, "head_dim": 32})
    assert (config.head_dim, config.q_size, config.kv_size) == (32, 192, 64)


def test_all_heads_have_their_own_keys_when_nothing_is_said() -> None:
    stated = {key: value for key, value in LLAMA.items() if key != "num_key_value_heads"}
    assert config_from_hf(stated).num_kv_heads == 6
    assert config_from_hf({**LLAMA, "num_key_value_heads": None}).num_kv_heads == 6


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_theta": 500000.0, "rope_scaling": LLAMA3_ROPE},
        {"rope_theta": 500000.0, "rope_scaling": {**LLAMA3_ROPE, "type": "llama3"}},
        {"rope_parameters": {**LLAMA3_ROPE, "rope_theta": 500000.0}},
    ],
)
def test_old_and_new_spelling_of_rotary_embeddings_mean_the_same(rope: dict[str, Any]) -> None:
    config = config_from_hf({**LLAMA, **rope})
    assert config.rope_theta == 500000.0
    assert config.rope_scaling == LLAMA3_ROPE


def test_plain_rotary_embeddings_have_no_scaling() -> None:
    config = config_from_hf({**LLAMA, "rope_parameters": {"rope_type": "default"}})
    assert config.rope_scaling is None
    assert config.rope_theta == 10000.0


def test_gemma_3_has_another_base_in_its_windows() -> None:
    stated = {**LLAMA, "model_type": "gemma3_text"}
    nested = {
        "full_attention": {"rope_type": "default", "rope_theta": 1e6},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
    }
    new = config_from_hf({**stated, "rope_parameters": nested})
    old = config_from_hf({**stated, "rope_theta": 1e6, "rope_local_base_freq": 1e4})
    assert (new.rope_theta, new.local_rope_theta) == (1e6, 1e4)
    assert new == old
    assert config_to_hf(new)["rope_parameters"] == nested


def test_what_transformers_assumes_is_assumed() -> None:
    assert config_from_hf({**LLAMA, "model_type": "gemma"}).tied
    assert config_from_hf({**LLAMA, "model_type": "gemma"}).head_dim == 256
    assert not config_from_hf({**LLAMA, "model_type": "gemma", "tie_word_embeddings": False}).tied


def comparable(stated: dict[str, Any]) -> tuple[ModelConfig, dict[str, Any] | str]:
    """Return what is read of a config.json, and what GGUF would say of it, or why it cannot.

    Special tokens are left out, which the tokenizer names, and a window that is not in use.
    """
    config = config_from_hf(stated)
    fixed = config.architecture.fixed
    unused = {"sliding_window": None} if "use_sliding_window" in fixed else {}
    kept = {key: config.extra.get(key, value) for key, value in fixed.items()}
    plain = replace(config, bos_token_id=None, eos_token_ids=(), pad_token_id=None, **unused)
    try:
        written: dict[str, Any] | str = config_to_gguf(config)
    except ArtifactError as error:
        written = error.message
    return replace(plain, extra=kept), written


@pytest.mark.parametrize("model_type", model_types())
def test_each_absent_key_means_what_transformers_takes_it_for(
    ask_configs: Callable[[str], list[list[dict[str, Any]]]], model_type: str
) -> None:
    compared, refused = 0, []
    for stated, understood in ask_configs(model_type):
        try:
            read = comparable(stated)
        except ArtifactError as error:
            refused.append(error.message)
        else:
            assert read == comparable(understood), set(understood) - set(stated)
            compared += 1
    assert compared > 10
    assert all("is None, expected a" in message for message in refused)  # must be stated


def test_a_gpt_neox_as_pythia_states_it_is_understood() -> None:
    stated = {key: value for key, value in LLAMA.items() if key != "rms_norm_eps"}
    stated |= {"model_type": "gpt_neox", "hidden_act": "gelu", "rotary_emb_base": 500}
    config = config_from_hf(stated | {"rotary_pct": 0.5, "num_key_value_heads": None})
    assert (config.attention_bias, config.rope_theta) == (True, 500.0)
    assert config.partial_rotary_factor == 0.5
    without = config_from_hf(stated | {"attention_bias": False})
    assert not without.attention_bias
    with pytest.raises(ArtifactError, match="attention_bias=False cannot be written as GGUF"):
        config_to_gguf(without)


def test_null_is_no_value_where_an_absent_key_has_one() -> None:
    mistral = {**LLAMA, "model_type": "mistral"}
    assert config_from_hf(mistral).sliding_window == 4096
    without = config_from_hf({**mistral, "sliding_window": None})
    assert without.sliding_window is None
    assert config_from_hf(config_to_hf(without)) == without


def test_gelu_of_the_first_gemma_is_its_approximation() -> None:
    gemma = {**LLAMA, "model_type": "gemma", "hidden_act": "gelu", "hidden_activation": None}
    assert config_from_hf(gemma).hidden_act == "gelu_pytorch_tanh"
    gemma2 = {**LLAMA, "model_type": "gemma2", "hidden_activation": "gelu"}
    assert config_from_hf(gemma2).hidden_act == "gelu"


def test_longrope_has_another_name_in_older_files() -> None:
    factors = {"long_factor": [1.0], "short_factor": [1.0]}
    old = config_from_hf({**LLAMA, "rope_scaling": {"type": "su", **factors}})
    assert old.rope_scaling == {"rope_type": "longrope", **factors}


def test_writing_and_reading_gives_the_same_and_keeps_what_is_not_understood() -> None:
    config = config_from_hf(
        {**LLAMA, "eos_token_id": [2, 7], "torch_dtype": "bfloat16", "initializer_range": 0.02}
    )
    written = config_to_hf(config)
    assert config_from_hf(written) == config
    assert written["initializer_range"] == 0.02
    assert written["eos_token_id"] == [2, 7]
    assert written["dtype"] == "bfloat16"
    assert written["architectures"] == ["LlamaForCausalLM"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"hidden_size": None}, "hidden_size is None, expected a positive integer"),
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0, expected a positive integer"),
        ({"num_hidden_layers": 10**6}, "1000000 layers are more than any model has"),
        ({"intermediate_size": 2**70}, "expected a positive integer"),
        ({"vocab_size": "many"}, "vocab_size is 'many', expected a positive integer"),
        ({"num_attention_heads": True}, "num_attention_heads is True"),
        ({"rms_norm_eps": "1e-5"}, "rms_norm_eps is '1e-5', expected a number"),
        ({"rope_parameters": [1]}, "config.json: a value is missing or of the wrong kind"),
        ({"rope_theta": "big"}, "wrong kind .ValueError: .*'big'"),
        ({"bos_token_id": "<s>"}, "bos_token_id is '<s>', expected an integer"),
        ({"eos_token_id": ["</s>"]}, "wrong kind"),
        ({"model_type": 7}, "model_type is 7, expected a name"),
    ],
)
def test_a_wrong_value_is_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ArtifactError, match=words) as caught:
        config_from_hf({**LLAMA, **change})
    assert caught.value.fault is ArtifactFault.MALFORMED
    assert caught.value.rule == "G0-CONFIG"


@pytest.mark.parametrize("text", [None, "{", "[]", "\udcff"])
def test_a_config_that_is_no_object_is_malformed(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ArtifactError, match=r"config\.json") as caught:
        read_hf_config(tmp_path)
    assert caught.value.fault is ArtifactFault.MALFORMED


def test_a_config_is_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    assert read_hf_config(tmp_path) == LLAMA


@pytest.mark.parametrize("value", [["silu"], {"name": "silu"}, [[1], 2]])
def test_an_activation_of_another_kind_does_not_keep_the_tensors_from_being_named(
    value: Any,
) -> None:
    config = config_from_hf({**LLAMA, "hidden_act": value})
    assert required_tensors(config) == required_tensors(config_from_hf(LLAMA))
