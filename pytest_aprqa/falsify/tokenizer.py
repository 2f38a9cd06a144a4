"""Faults of the tokenizer: texts become other tokens than the model learnt."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

from pytest_aprqa.falsify.fault import (
    Family,
    Faults,
    NotApplicableError,
    Original,
    Sample,
    converted,
    everywhere,
)
from pytest_aprqa.falsify.gate import Gate
from pytest_aprqa.falsify.statements import json_file, metadata
from pytest_aprqa.words import Format

fault = Faults(Family.TOKENIZER)

_LOUD = converted(Gate.G0, reference=Gate.QUAL)
_QUIET = converted(Gate.G0, reference=Gate.DIGEST)
_ONLY_SAFETENSORS_QUAL = {Format.SAFETENSORS: Gate.QUAL}
_ONLY_SAFETENSORS_QUIET = {Format.SAFETENSORS: Gate.DIGEST}

_NORMAL, _CONTROL = 1, 3
_TOKENS = {Format.APR: "tokenizer.vocabulary", Format.GGUF: "tokenizer.ggml.tokens"}
_PREFIX = {Format.APR: "tokenizer.", Format.GGUF: "tokenizer.ggml."}


@fault("merges-order", "the first half of the merges is in reverse order", _LOUD)
def merges_order(sample: Sample, random: Random) -> None:
    _change_merges(
        sample, lambda merges: merges[: len(merges) // 2][::-1] + merges[len(merges) // 2 :]
    )


@fault("merges-lost", "the last half of the merges is missing", _LOUD)
def merges_lost(sample: Sample, random: Random) -> None:
    _change_merges(sample, lambda merges: merges[: len(merges) // 2])


@fault(
    "ids-exchanged",
    "two common tokens have each other's id",
    _QUIET,
    blind="questions that hold neither word are answered as before",
)
def ids_exchanged(sample: Sample, random: Random) -> None:
    def exchange(tokens: list[str]) -> list[str]:
        one, other = tokens.index("\u0120is"), tokens.index("\u0120of")
        tokens[one], tokens[other] = tokens[other], tokens[one]
        return tokens

    _change_tokens(sample, exchange)


@fault("ids-shifted", "every token but the special ones stands one id too late", _LOUD)
def ids_shifted(sample: Sample, random: Random) -> None:
    special = _special(sample)

    def shift(tokens: list[str]) -> list[str]:
        plain = [number for number, token in enumerate(tokens) if token not in special]
        moved = dict(zip(plain, plain[-1:] + plain[:-1], strict=True))
        return [tokens[moved.get(number, number)] for number in range(len(tokens))]

    _change_tokens(sample, shift)


@fault(
    "start-added",
    "a start token is put before every text, unlike in training",
    _QUIET,
    blind="a model bears a start token more or less; how it was trained stands nowhere else",
)
def start_added(sample: Sample, random: Random) -> None:
    _state_start(sample, True)


@fault(
    "start-missing",
    "the start token is not put before texts",
    _QUIET,
    blind="a model bears a start token more or less; how it was trained stands nowhere else",
    original=Original.STARTED,
)
def start_missing(sample: Sample, random: Random) -> None:
    _state_start(sample, False)


@fault(
    "special-plain",
    "the end of a turn is an ordinary text to the tokenizer",
    _QUIET,
    blind="the words of the marker are read as text; a few short answers survive it",
)
def special_plain(sample: Sample, random: Random) -> None:
    token = "<|im_end|>"
    if sample.format is Format.SAFETENSORS:
        with _tokenizer_json(sample) as content:
            content["added_tokens"] = [t for t in content["added_tokens"] if t["content"] != token]
        return
    with metadata(sample) as values:
        types = list(values[f"{_PREFIX[sample.format]}token_type"])
        types[values[_TOKENS[sample.format]].index(token)] = _NORMAL
        values[f"{_PREFIX[sample.format]}token_type"] = types


@fault(
    "word-special",
    "an ordinary word is a special token to the tokenizer",
    _QUIET,
    blind="the word keeps its id, and which tokens are special is the reference's to say",
)
def word_special(sample: Sample, random: Random) -> None:
    word = "is"
    if sample.format is Format.SAFETENSORS:
        with _tokenizer_json(sample) as content:
            number = content["model"]["vocab"][word]
            content["added_tokens"].append(
                {**content["added_tokens"][0], "id": number, "content": word}
            )
        return
    with metadata(sample) as values:
        types = list(values[f"{_PREFIX[sample.format]}token_type"])
        types[values[_TOKENS[sample.format]].index(word)] = _CONTROL
        values[f"{_PREFIX[sample.format]}token_type"] = types


@fault(
    "cutting",
    "texts are cut into words by the rules of another tokenizer",
    converted(Gate.I5, reference=Gate.DIGEST),
    blind="short answers survive other tokens for the same words",
)
def cutting(sample: Sample, random: Random) -> None:
    if sample.format is Format.SAFETENSORS:
        with _tokenizer_json(sample) as content:
            digits = {"type": "Digits", "individual_digits": True}
            both = [digits, content["pre_tokenizer"]]
            content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": both}
        return
    key = "tokenizer.pre_type" if sample.format is Format.APR else "tokenizer.ggml.pre"
    with metadata(sample) as values:
        values[key] = "llama-bpe" if values[key] != "llama-bpe" else "gpt-2"


@fault(
    "lower-case",
    "texts are put into lower case first",
    _ONLY_SAFETENSORS_QUIET,
    blind="a tokenizer may fold case by design; G0 says as a warning that a text does not come back",
)
def lower_case(sample: Sample, random: Random) -> None:
    with _tokenizer_json(sample) as content:
        content["normalizer"] = {"type": "Lowercase"}


@fault(
    "truncation-left-on",
    "texts are cut after sixteen tokens, a setting left over from training",
    _ONLY_SAFETENSORS_QUIET,
    blind="transformers sets the length on every call, so that only other readers of the file cut",
)
def truncation_left_on(sample: Sample, random: Random) -> None:
    with _tokenizer_json(sample) as content:
        content["truncation"] = {
            "direction": "Right",
            "max_length": 16,
            "strategy": "LongestFirst",
            "stride": 0,
        }


@fault("decoder-lost", "tokens are put together without being decoded", _ONLY_SAFETENSORS_QUAL)
def decoder_lost(sample: Sample, random: Random) -> None:
    with _tokenizer_json(sample) as content:
        content["decoder"] = None


@fault(
    "vocabulary-larger",
    "the tokenizer is one with more tokens than the embedding",
    everywhere(Gate.G0),
)
def vocabulary_larger(sample: Sample, random: Random) -> None:
    _change_tokens(sample, lambda tokens: tokens + [f"extra{number}" for number in range(40)])


@fault("vocabulary-cut", "the last tokens of the vocabulary are missing", _LOUD)
def vocabulary_cut(sample: Sample, random: Random) -> None:
    kept = 7 / 8
    cut: set[str] = set()

    def shorten(tokens: list[str]) -> list[str]:
        cut.update(tokens[int(len(tokens) * kept) :])
        return tokens[: int(len(tokens) * kept)]

    _change_tokens(sample, shorten)
    _change_merges(sample, lambda merges: [m for m in merges if "".join(m) not in cut])


@fault("missing", "there is no tokenizer", everywhere(Gate.G0))
def missing(sample: Sample, random: Random) -> None:
    if sample.format is Format.SAFETENSORS:
        (sample.directory / "tokenizer.json").unlink()
        return
    with metadata(sample) as values:
        for key in [key for key in values if key.startswith("tokenizer.")]:
            del values[key]


def _tokenizer_json(sample: Sample) -> Any:
    return json_file(sample.directory / "tokenizer.json")


def _special(sample: Sample) -> frozenset[str]:
    content = json.loads((sample.directory / "tokenizer.json").read_text("utf-8"))
    return frozenset(token["content"] for token in content["added_tokens"])


Merges = list[tuple[str, str]]


def _change_merges(sample: Sample, change: Callable[[Merges], Merges]) -> None:
    if sample.format is Format.SAFETENSORS:
        with _tokenizer_json(sample) as content:
            merges = [_pair(merge) for merge in content["model"]["merges"]]
            content["model"]["merges"] = [list(pair) for pair in change(merges)]
        return
    key = f"{_PREFIX[sample.format]}merges"
    with metadata(sample) as values:
        values[key] = [" ".join(pair) for pair in change([_pair(merge) for merge in values[key]])]


def _pair(merge: str | list[str]) -> tuple[str, str]:
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right


def _change_tokens(sample: Sample, change: Callable[[list[str]], list[str]]) -> None:
    """Change the list of tokens, ordered by id."""
    if sample.format is Format.SAFETENSORS:
        with _tokenizer_json(sample) as content:
            model = content["model"]
            tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
            model["vocab"] = {token: number for number, token in enumerate(change(tokens))}
        return
    with metadata(sample) as values:
        tokens = change(list(values[_TOKENS[sample.format]]))
        types_key = f"{_PREFIX[sample.format]}token_type"
        types = list(values[types_key])
        values[_TOKENS[sample.format]] = tokens
        values[types_key] = (types + [_NORMAL] * len(tokens))[: len(tokens)]


def _state_start(sample: Sample, wanted: bool) -> None:
    if sample.format is Format.SAFETENSORS:
        state_start(sample, wanted)
        return
    with metadata(sample) as values:
        key = f"{_PREFIX[sample.format]}add_bos_token"
        if bool(values.get(key)) is wanted:
            raise NotApplicableError("the model is so")
        values[key] = wanted


def state_start(sample: Sample, wanted: bool) -> None:
    """State in tokenizer.json whether a start token is put before every text."""
    with json_file(sample.directory / "config.json") as config:
        number = config.get("bos_token_id")
    if number is None:
        raise NotApplicableError("the model has no start token")
    with _tokenizer_json(sample) as content:
        start = next(t["content"] for t in content["added_tokens"] if t["id"] == number)
        text = {"Sequence": {"id": "A", "type_id": 0}}
        token = {"SpecialToken": {"id": start, "type_id": 0}}
        other = {"Sequence": {"id": "B", "type_id": 1}}
        content["post_processor"] = {
            "type": "TemplateProcessing",
            "single": [token, text] if wanted else [text],
            "pair": [token, text, other] if wanted else [text, other],
            "special_tokens": {start: {"id": start, "ids": [number], "tokens": [start]}},
        }
