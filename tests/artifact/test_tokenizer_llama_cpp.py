"""What we write must encode in llama.cpp as it does in the tokenizers library."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
import pytest
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from pytest_aprqa.artifact.config_hf import config_from_hf, read_hf_config
from pytest_aprqa.artifact.convert import convert
from pytest_aprqa.artifact.digest import DigestCache
from pytest_aprqa.artifact.files import make_artifact
from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.artifact.safetensors_write import write_safetensors
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.artifact.tensor_source import TensorSource
from pytest_aprqa.artifact.tokenizer import TokenizerModel, TokenType, Vocabulary
from pytest_aprqa.artifact.tokenizer_hf import write_hf_tokenizer
from pytest_aprqa.artifact.tokenizer_pre import recognise
from pytest_aprqa.run.tokenizer import SPECIAL_TEXTS, TOKENIZER_TEXTS
from pytest_aprqa.words import Format

PRE_TYPES = (
    "gpt-2",
    "smollm",
    "qwen2",
    "llama-bpe",
    "dbrx",
    "tekken",
    "gpt-4o",
    "deepseek-coder",
    "default",
)
MARKS = "हिन्दी ไทย"
# In llama.cpp's wording of these two a combining mark is no part of a word.
APPROXIMATED = ("tekken", "gpt-4o")
TEXTS = (
    "Hello, world!",
    "It's 2024; don't you've we'll I'M THEY'RE he'd",
    "1 12 123 1234 12345 3.14159 1,000,000 ½ ٣ ৪৫",
    "naïve café Übergröße façade Ångström señor",
    "東京は日本の首都です。 漢字 한국어",
    MARKS,
    "emoji 🙂🙃 👩‍👩‍👧 🇫🇷 ✨",
    "a  b   c    d\t\te",
    "line one\nline two\r\n\r\nline three\n\n\n  indented",
    "   leading and trailing   ",
    "if (x >= 10 && y != 3) { return a[i]->b; } // `code` $x ~y ^z |w| <tag> +1 = 2",
    "CamelCaseWords and SCREAMING_SNAKE_CASE iPhone XMLHttp",
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    "before<|endoftext|>after",
    "<|im_start|> \n the fox<|im_end|>\n\n</s> the<|endoftext|> fox",
    "العربية עברית",
    " ",
    "\n",
    "",
)
# As the tokenizers of Falcon are published.
AS_FALCON = pre_tokenizers.Sequence(
    [
        pre_tokenizers.Punctuation("contiguous"),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
        pre_tokenizers.Digits(individual_digits=False),
        pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), "isolated"),
    ]
)
HARD = (*TOKENIZER_TEXTS, *SPECIAL_TEXTS)
SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
ROWS = 1200


Learnt = tuple[tuple[str, ...], tuple[tuple[str, str], ...]]


@pytest.fixture(scope="module")
def byte_level_tokens() -> Learnt:
    """Return entries and merges learnt across every boundary, so that each cut matters."""
    return learnt(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False))


def learnt(cutting: Any) -> Learnt:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = cutting
    trainer = trainers.BpeTrainer(
        vocab_size=ROWS - 10,
        special_tokens=list(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator([text * 3 for text in TEXTS], trainer)
    stated = json.loads(core.to_str())["model"]
    tokens = sorted(stated["vocab"], key=stated["vocab"].__getitem__)
    return tuple(tokens), tuple((left, right) for left, right in stated["merges"])


@pytest.fixture(scope="module")
def sentencepiece_tokens() -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Return entries and scores of a SentencePiece vocabulary with a byte for every byte."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    core.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=140, show_progress=False)
    core.train_from_iterator(["the quick brown fox it's don't 2024 naïve the then them"], trainer)
    stated = json.loads(core.to_str())["model"]
    words = sorted(stated["vocab"], key=stated["vocab"].__getitem__)
    specials = ["<unk>", *SPECIALS, "<s>", "</s>"]
    tokens = [*specials, *(f"<0x{byte:02X}>" for byte in range(256)), *words][:ROWS]
    ranks = {left + right: rank for rank, (left, right) in enumerate(stated["merges"])}
    scores = [-float(ranks[token]) if token in ranks else -1000.0 for token in tokens]
    return tuple(tokens), tuple(scores)


def composed(text: str) -> str:
    return normalize("NFC", text)


def byte_level(
    tokens: tuple[str, ...], merges: tuple[tuple[str, str], ...], pre: str
) -> Vocabulary:
    types = tuple(TokenType.CONTROL if token in SPECIALS else TokenType.NORMAL for token in tokens)
    return Vocabulary(
        model=TokenizerModel.BYTE_LEVEL_BPE,
        pre=pre,
        tokens=tokens,
        types=types,
        merges=merges,
        bos=1,
        eos=2,
        pad=0,
    )


def sentencepiece(
    tokens: tuple[str, ...], scores: tuple[float, ...], *, prefix: bool
) -> Vocabulary:
    def kind(token: str) -> TokenType:
        if token == "<unk>":
            return TokenType.UNKNOWN
        if token in (*SPECIALS, "<s>", "</s>"):
            return TokenType.CONTROL
        return TokenType.BYTE if token.startswith("<0x") else TokenType.NORMAL

    return Vocabulary(
        model=TokenizerModel.SENTENCEPIECE_BPE,
        pre="",
        tokens=tokens,
        types=tuple(kind(token) for token in tokens),
        scores=scores,
        bos=2,
        eos=3,
        unk=0,
        add_bos=True,
        add_space_prefix=prefix,
    )


def write_wide_model(model: Path, directory: Path) -> None:
    """Write a model with an embedding of ROWS rows; what it computes is of no interest here."""
    config = {**read_hf_config(model), "vocab_size": ROWS}
    (directory / "config.json").write_text(json.dumps(config))
    wide = np.zeros((ROWS, config["hidden_size"]), np.float32)
    with open_tensors(model) as file:
        tensors = [
            TensorSource(name, DType.F32, wide.shape, lambda: wide.view(np.uint8))
            if name in ("model.embed_tokens.weight", "lm_head.weight")
            else TensorSource(name, info.dtype, info.shape, partial(file.raw, name))
            for name, info in file.tensors.items()
        ]
        write_safetensors(directory / "model.safetensors", tensors)


@pytest.fixture(scope="module")
def encoded(
    tiny_models: Any,
    ask_llama_cpp: Callable[..., dict[str, dict[str, Any]]],
    byte_level_tokens: Any,
    sentencepiece_tokens: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, tuple[list[list[int]], list[list[int]]]]:
    """Return per vocabulary the ids of all texts, by tokenizers and by llama.cpp."""
    vocabularies = {pre: byte_level(*byte_level_tokens, pre) for pre in PRE_TYPES}
    vocabularies["falcon"] = byte_level(*learnt(AS_FALCON), "falcon")
    vocabularies["spm"] = sentencepiece(*sentencepiece_tokens, prefix=False)
    plain = sentencepiece(*sentencepiece_tokens, prefix=True)
    stripping = frozenset(plain.tokens.index(t) for t in ("<|im_start|>", "<|im_end|>", "</s>"))
    vocabularies["spm-phi3"] = replace(plain, strips_after=stripping)
    vocabularies["spm-prefix"] = sentencepiece(*sentencepiece_tokens, prefix=True)
    root = tmp_path_factory.mktemp("vocabularies")
    model = tiny_models.directory / "llama"
    files: dict[str, Path] = {}
    for name, vocabulary in vocabularies.items():
        directory = root / name
        directory.mkdir()
        write_wide_model(model, directory)
        write_hf_tokenizer(vocabulary, directory, config_from_hf(read_hf_config(directory)))
        source = make_artifact(Format.SAFETENSORS, directory, "tests", DigestCache())
        files[name] = convert(source, Format.GGUF, root / f"{name}-gguf").path
    answers = ask_llama_cpp(list(files.values()), (*TEXTS, *HARD, *map(composed, HARD)))
    result = {}
    for name, path in files.items():
        tokenizer = Tokenizer.from_file(str(root / name / "tokenizer.json"))
        assert "refused" not in answers[str(path)], name
        result[name] = (
            [tokenizer.encode(text).ids for text in (*TEXTS, *HARD)],
            answers[str(path)]["tokens"],
        )
    return result


@pytest.mark.parametrize("name", [*PRE_TYPES, "falcon", "spm", "spm-prefix", "spm-phi3"])
def test_encodes_as_llama_cpp_does(
    encoded: dict[str, tuple[list[list[int]], list[list[int]]]], name: str
) -> None:
    ours, theirs = encoded[name]
    different = [
        (text, mine, their)
        for text, mine, their in zip(TEXTS, ours, theirs, strict=False)
        if mine != their and not (text == MARKS and name in APPROXIMATED)
    ]
    assert not different


@pytest.mark.parametrize("name", [*PRE_TYPES, "falcon", "spm", "spm-prefix", "spm-phi3"])
def test_the_texts_of_i5_differ_by_composed_accents_at_most(
    encoded: dict[str, tuple[list[list[int]], list[list[int]]]], name: str
) -> None:
    ours, theirs = (ids[len(TEXTS) :] for ids in encoded[name])
    for text, mine, their, of_composed in zip(
        HARD, ours, theirs[: len(HARD)], theirs[len(HARD) :], strict=True
    ):
        assert mine == their or (mine == of_composed and text != composed(text)), text


def test_the_ways_of_cutting_differ_on_these_texts(
    encoded: dict[str, tuple[list[list[int]], list[list[int]]]],
) -> None:
    distinct = {json.dumps(ours) for name, (ours, _) in encoded.items() if name in PRE_TYPES}
    assert len(distinct) >= len(PRE_TYPES) - 1


def test_tokens_that_swallow_white_space_change_the_ids(
    encoded: dict[str, tuple[list[list[int]], list[list[int]]]],
) -> None:
    assert encoded["spm-phi3"] != encoded["spm-prefix"]


def test_the_published_tokenizers_of_falcon_are_recognised() -> None:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = AS_FALCON
    assert recognise(json.loads(core.to_str())).name == "falcon"
