from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_aprqa.artifact.config import ModelConfig
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.tokenizer import (
    TokenizerModel,
    TokenType,
    Vocabulary,
    vocabulary_from_apr,
    vocabulary_from_gguf,
    vocabulary_to_apr,
    vocabulary_to_gguf,
)
from pytest_aprqa.artifact.tokenizer_hf import tokenizer_json, write_hf_tokenizer
from pytest_aprqa.artifact.tokenizer_pre import pre_type, recognise
from pytest_aprqa.artifact.tokenizer_read import vocabulary_from_hf

CONTROL, NORMAL, USER = TokenType.CONTROL, TokenType.NORMAL, TokenType.USER_DEFINED
CONFIG = ModelConfig(
    model_type="llama",
    hidden_size=8,
    num_layers=1,
    num_heads=1,
    num_kv_heads=1,
    head_dim=8,
    intermediate_size=8,
    vocab_size=8,
    max_position_embeddings=64,
    rms_norm_eps=1e-5,
)
BPE = Vocabulary(
    model=TokenizerModel.BYTE_LEVEL_BPE,
    pre="smollm",
    tokens=("<s>", "</s>", "a", "b", "ab", "Ġ", "<tool>"),
    types=(CONTROL, CONTROL, NORMAL, NORMAL, NORMAL, NORMAL, USER),
    merges=(("a", "b"),),
    bos=0,
    eos=1,
    pad=1,
    add_bos=True,
    chat_template="{{ messages }}",
)
SPM = Vocabulary(
    model=TokenizerModel.SENTENCEPIECE_BPE,
    pre="",
    tokens=("<unk>", "<s>", "</s>", "<0x0A>", "▁", "a", "▁a"),
    types=(TokenType.UNKNOWN, CONTROL, CONTROL, TokenType.BYTE, NORMAL, NORMAL, NORMAL),
    scores=(0.0, 0.0, 0.0, 0.0, -1.0, -1.0, 0.0),
    bos=1,
    eos=2,
    unk=0,
    add_bos=True,
    add_space_prefix=True,
)


@pytest.mark.parametrize("vocabulary", [BPE, SPM, replace(BPE, eot=6, add_eos=True)])
def test_gguf_and_apr_give_back_what_they_were_given(vocabulary: Vocabulary) -> None:
    assert vocabulary_from_gguf(vocabulary_to_gguf(vocabulary)) == vocabulary
    assert vocabulary_from_apr(vocabulary_to_apr(vocabulary)) == vocabulary


def test_llama_cpp_knows_what_swallows_white_space_by_the_name_of_phi_3() -> None:
    stated = vocabulary_to_gguf(SPM)
    assert vocabulary_from_gguf({**stated, "general.name": "Llama 2"}) == SPM
    phi = vocabulary_from_gguf({**stated, "general.name": "Phi 3 mini, phi-3"})
    assert phi == replace(SPM, strips_after=frozenset({2}))
    assert vocabulary_from_apr(vocabulary_to_apr(phi)) == phi


@pytest.mark.parametrize(
    "vocabulary",
    [BPE, SPM, replace(BPE, eot=6, add_eos=True), replace(SPM, strips_after=frozenset({2}))],
)
def test_hugging_face_files_give_back_what_they_were_given(
    tmp_path: Path, vocabulary: Vocabulary
) -> None:
    write_hf_tokenizer(vocabulary, tmp_path, CONFIG)
    ends = tuple(n for n in (vocabulary.eos, vocabulary.eot) if n is not None)
    found = vocabulary_from_hf(tmp_path, replace(CONFIG, eos_token_ids=ends))
    assert found is not None
    assert replace(found, scores=()) == replace(vocabulary, scores=())
    assert tokenizer_json(found)["model"]["merges"] == tokenizer_json(vocabulary)["model"]["merges"]


def test_apr_has_names_of_its_own_for_the_vocabulary_and_the_cutting() -> None:
    metadata = vocabulary_to_apr(BPE)
    assert metadata["tokenizer.vocabulary"] == list(BPE.tokens)
    assert metadata["tokenizer.pre_type"] == "smollm"
    assert metadata["tokenizer.merges"] == ["a b"]
    assert metadata["tokenizer.vocab_size"] == 7
    assert metadata["chat_template"] == "{{ messages }}"


def test_files_without_a_tokenizer_have_none(tmp_path: Path) -> None:
    assert vocabulary_from_gguf({"general.architecture": "llama"}) is None
    assert vocabulary_from_apr({"architecture": "llama"}) is None
    assert vocabulary_from_hf(tmp_path, CONFIG) is None


def test_what_a_file_leaves_out_is_as_llama_cpp_assumes() -> None:
    stated = {
        key: value
        for key, value in vocabulary_to_gguf(SPM).items()
        if "add_" not in key and key != "tokenizer.ggml.token_type"
    }
    found = vocabulary_from_gguf(stated)
    assert found is not None
    assert (found.add_bos, found.add_space_prefix, found.add_eos) == (True, True, False)
    assert set(found.types) == {TokenType.NORMAL}
    llama3 = {**vocabulary_to_gguf(BPE), "tokenizer.ggml.pre": "llama-bpe"}
    del llama3["tokenizer.ggml.add_bos_token"]
    found = vocabulary_from_gguf(llama3)
    assert found is not None
    assert found.add_bos


def test_the_vocabulary_is_filled_up_to_the_embedding_and_back() -> None:
    padded = BPE.padded(10)
    assert padded.tokens[7:] == ("[PAD7]", "[PAD8]", "[PAD9]")
    assert set(padded.types[7:]) == {TokenType.UNUSED}
    assert padded.unpadded() == BPE
    assert len(SPM.padded(9).scores) == 9
    assert BPE.padded(7) == BPE


def test_an_unused_token_that_is_no_padding_stays() -> None:
    reserved = replace(BPE, types=(*BPE.types[:-1], TokenType.UNUSED))
    assert reserved.unpadded() == reserved


def test_a_merge_may_hold_a_space_at_its_start() -> None:
    stated = {**vocabulary_to_gguf(BPE), "tokenizer.ggml.merges": ["  a"]}
    found = vocabulary_from_gguf(stated)
    assert found is not None
    assert found.merges == ((" ", "a"),)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("token_type", [1], "7 tokens but 1 token types"),
        ("token_type", [9] * 7, "token type 9 does not exist"),
        ("merges", ["ab"], "merge 'ab' is no pair"),
    ],
)
def test_keys_that_contradict_each_other_are_malformed(key: str, value: Any, words: str) -> None:
    with pytest.raises(ArtifactError, match=words) as caught:
        vocabulary_from_gguf({**vocabulary_to_gguf(BPE), f"tokenizer.ggml.{key}": value})
    assert (caught.value.fault, caught.value.rule) == (ArtifactFault.MALFORMED, "G0-TOKENIZER")


@pytest.mark.parametrize("missing", ["merges", "scores"])
def test_bpe_needs_merges_and_sentencepiece_scores(missing: str) -> None:
    vocabulary = BPE if missing == "merges" else SPM
    stated = vocabulary_to_gguf(vocabulary)
    del stated[f"tokenizer.ggml.{missing}"]
    with pytest.raises(ArtifactError, match=missing):
        vocabulary_from_gguf(stated)


@pytest.mark.parametrize(("key", "value"), [("model", "rwkv"), ("pre", "brand-new")])
def test_an_unknown_algorithm_or_cutting_is_unsupported_and_named(key: str, value: str) -> None:
    stated = {**vocabulary_to_gguf(BPE), f"tokenizer.ggml.{key}": value}
    stated.pop("tokenizer.ggml.add_bos_token")
    with pytest.raises(ArtifactError, match=value) as caught:
        vocabulary_from_gguf(stated)
    assert caught.value.fault is ArtifactFault.UNSUPPORTED


def hf_files(directory: Path, tokenizer: dict[str, Any], **stated: Any) -> Path:
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer))
    (directory / "tokenizer_config.json").write_text(json.dumps(stated))
    return directory


def test_added_tokens_beyond_the_vocabulary_are_found(tmp_path: Path) -> None:
    """Qwen's tokenizer.json keeps its special tokens out of the model's vocabulary."""
    tokenizer = tokenizer_json(replace(BPE, add_bos=False))
    tokenizer["model"]["vocab"] = {"a": 0, "b": 1, "ab": 2}
    tokenizer["added_tokens"] = [
        {"id": 3, "content": "<|end|>", "special": True},
        {"id": 5, "content": "<tool>", "special": False},
    ]
    found = vocabulary_from_hf(hf_files(tmp_path, tokenizer, eos_token="<|end|>"), CONFIG)
    assert found is not None
    assert found.tokens == ("a", "b", "ab", "<|end|>", "[PAD4]", "<tool>")
    assert found.types == (NORMAL, NORMAL, NORMAL, CONTROL, TokenType.UNUSED, USER)
    assert found.eos == 3


def test_special_tokens_may_be_objects_and_config_fills_the_gaps(tmp_path: Path) -> None:
    tokenizer = tokenizer_json(BPE)
    directory = hf_files(tmp_path, tokenizer, eos_token={"content": "</s>", "lstrip": False})
    config = replace(CONFIG, bos_token_id=0, pad_token_id=1, eos_token_ids=(1, 6))
    found = vocabulary_from_hf(directory, config)
    assert found is not None
    assert (found.bos, found.eos, found.eot, found.pad) == (0, 1, 6, 1)


@pytest.mark.parametrize(("stated", "expected"), [({}, True), ({"add_bos_token": False}, False)])
def test_whether_bos_is_added_stands_in_the_post_processor_or_is_said(
    tmp_path: Path, stated: dict[str, Any], expected: bool
) -> None:
    directory = hf_files(tmp_path, tokenizer_json(BPE), bos_token="<s>", **stated)
    found = vocabulary_from_hf(directory, CONFIG)
    assert found is not None
    assert found.add_bos is expected


def test_merges_in_the_old_spelling_are_read(tmp_path: Path) -> None:
    tokenizer = tokenizer_json(BPE)
    tokenizer["model"]["merges"] = ["a b"]
    found = vocabulary_from_hf(hf_files(tmp_path, tokenizer), CONFIG)
    assert found is not None
    assert found.merges == (("a", "b"),)


def test_only_bpe_is_supported(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="'Unigram' is not supported"):
        vocabulary_from_hf(hf_files(tmp_path, {"model": {"type": "Unigram"}}), CONFIG)


def test_a_tokenizer_in_another_form_only_is_unsupported(tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"as vocab\.json only") as caught:
        vocabulary_from_hf(tmp_path, CONFIG)
    assert caught.value.fault is ArtifactFault.UNSUPPORTED


@pytest.mark.parametrize(("known", "same"), [("starcoder", "smollm"), ("stablelm2", "qwen2")])
def test_names_that_cut_alike_are_known_and_recognised_as_the_first(known: str, same: str) -> None:
    assert pre_type(known).steps == pre_type(same).steps
    assert recognise(tokenizer_json(replace(BPE, pre=known))).name == same


@pytest.mark.parametrize("name", ["llama-bpe", "dbrx"])
def test_the_same_cutting_with_and_without_merges_of_whole_pieces_is_told_apart(name: str) -> None:
    assert recognise(tokenizer_json(replace(BPE, pre=name))).name == name


def test_a_byte_level_tokenizer_that_adds_a_space_is_not_gpt_2s() -> None:
    tokenizer = tokenizer_json(replace(BPE, pre="gpt-2"))
    tokenizer["pre_tokenizer"]["add_prefix_space"] = True
    with pytest.raises(ArtifactError, match=r"none that llama\.cpp has a name for"):
        recognise(tokenizer)
