"""Writing a tokenizer as Hugging Face files: tokenizer.json and what stands beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_aprqa.artifact.config import ModelConfig
from pytest_aprqa.artifact.template import TEMPLATE_FILE
from pytest_aprqa.artifact.tokenizer import TokenizerModel, TokenType, Vocabulary
from pytest_aprqa.artifact.tokenizer_pre import pre_tokenizer_json, pre_type

_SPACE = "\u2581"  # SentencePiece writes a space so
_ADDED = (TokenType.CONTROL, TokenType.USER_DEFINED)


def write_hf_tokenizer(
    vocabulary: Vocabulary, directory: Path, config: ModelConfig, *, for_people: bool = True
) -> None:
    """Write tokenizer.json, tokenizer_config.json, the chat template and generation_config.json.

    The result encodes as llama.cpp encodes with the GGUF of the same vocabulary.

    Args:
        vocabulary: to write.
        directory: to write into.
        config: of the model.
        for_people: a token a line; what no one will read is written in a fraction of the time.
    """
    vocabulary = vocabulary.unpadded()
    _write(
        directory / "tokenizer.json", tokenizer_json(vocabulary), indent=1 if for_people else None
    )
    specials = {
        "bos_token": vocabulary.bos,
        "eos_token": vocabulary.eos,
        "unk_token": vocabulary.unk,
        "pad_token": vocabulary.pad,
    }
    _write(
        directory / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "add_bos_token": vocabulary.add_bos,
            "add_eos_token": vocabulary.add_eos,
            "clean_up_tokenization_spaces": False,
            "model_max_length": config.max_position_embeddings,
            **{key: vocabulary.tokens[n] for key, n in specials.items() if n is not None},
        },
    )
    ends = [number for number in (vocabulary.eos, vocabulary.eot) if number is not None]
    _write(
        directory / "generation_config.json",
        {
            **({} if vocabulary.bos is None else {"bos_token_id": vocabulary.bos}),
            **({"eos_token_id": ends[0] if len(ends) == 1 else ends} if ends else {}),
            **({} if vocabulary.pad is None else {"pad_token_id": vocabulary.pad}),
        },
    )
    if vocabulary.chat_template is not None:
        (directory / TEMPLATE_FILE).write_text(vocabulary.chat_template, "utf-8")


def tokenizer_json(vocabulary: Vocabulary) -> dict[str, Any]:
    """Return the tokenizer.json of a vocabulary."""
    is_spm = vocabulary.model is TokenizerModel.SENTENCEPIECE_BPE
    parts = _sentencepiece_parts(vocabulary) if is_spm else _byte_level_parts(vocabulary)
    added = [
        {
            "id": number,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": number in vocabulary.strips_after,
            "normalized": False,
            "special": kind is not TokenType.USER_DEFINED,
        }
        for number, (token, kind) in enumerate(
            zip(vocabulary.tokens, vocabulary.types, strict=True)
        )
        if kind in _ADDED or (is_spm and kind is TokenType.UNKNOWN)
    ]
    model = {
        "type": "BPE",
        "dropout": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "vocab": {token: number for number, token in enumerate(vocabulary.tokens)},
        **parts.pop("model"),
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        **parts,
        "post_processor": _post_processor(vocabulary),
        "model": model,
    }


def _byte_level_parts(vocabulary: Vocabulary) -> dict[str, Any]:
    pre = pre_type(vocabulary.pre)
    return {
        "normalizer": {"type": pre.normalizer} if pre.normalizer else None,
        "pre_tokenizer": pre_tokenizer_json(pre),
        "decoder": {
            "type": "ByteLevel",
            "add_prefix_space": True,
            "trim_offsets": True,
            "use_regex": True,
        },
        "model": {
            "unk_token": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": pre.ignore_merges,
            "merges": vocabulary.merges,
        },
    }


def _sentencepiece_parts(vocabulary: Vocabulary) -> dict[str, Any]:
    prefix = vocabulary.add_space_prefix
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": _SPACE}
    prepend = {"type": "Prepend", "prepend": _SPACE}
    decoders = [
        {"type": "Replace", "pattern": {"String": _SPACE}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
        *([{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if prefix else []),
    ]
    unk = vocabulary.unk
    return {
        "normalizer": {"type": "Sequence", "normalizers": [prepend, replace]}
        if prefix
        else replace,
        "pre_tokenizer": None,
        "decoder": {"type": "Sequence", "decoders": decoders},
        "model": {
            "unk_token": None if unk is None else vocabulary.tokens[unk],
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "merges": _merges(vocabulary),
        },
    }


def _post_processor(vocabulary: Vocabulary) -> dict[str, Any] | None:
    bos = vocabulary.bos if vocabulary.add_bos else None
    eos = vocabulary.eos if vocabulary.add_eos else None
    if bos is None and eos is None:
        if vocabulary.model is TokenizerModel.SENTENCEPIECE_BPE:
            return None
        return {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False}

    def special(number: int | None, side: int) -> list[dict[str, Any]]:
        if number is None:
            return []
        return [{"SpecialToken": {"id": vocabulary.tokens[number], "type_id": side}}]

    def text(name: str, side: int) -> list[dict[str, Any]]:
        body = {"Sequence": {"id": name, "type_id": side}}
        return [*special(bos, side), body, *special(eos, side)]

    return {
        "type": "TemplateProcessing",
        "single": text("A", 0),
        "pair": [*text("A", 0), *text("B", 1)],
        "special_tokens": {
            token: {"id": token, "ids": [number], "tokens": [token]}
            for number in (bos, eos)
            if number is not None
            for token in (vocabulary.tokens[number],)
        },
    }


def _merges(vocabulary: Vocabulary) -> list[tuple[str, str]]:
    """Return the merges that rebuild SentencePiece's choice by score.

    Every way to make a token of two others is a merge; a higher score goes first, and of the ways
    to one token that with the smaller ids (as transformers converts SentencePiece models).
    """
    ids = {token: number for number, token in enumerate(vocabulary.tokens)}
    ranked = [
        ((-vocabulary.scores[number], number, ids[token[:cut]], ids[token[cut:]]), token, cut)
        for number, token in enumerate(vocabulary.tokens)
        for cut in range(1, len(token))
        if token[:cut] in ids and token[cut:] in ids
    ]
    return [(token[:cut], token[cut:]) for _, token, cut in sorted(ranked)]


def _write(path: Path, value: Mapping[str, Any], indent: int | None = 1) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=indent), "utf-8")
