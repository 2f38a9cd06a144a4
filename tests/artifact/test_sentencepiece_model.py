"""tokenizer.model is read as SentencePiece reads it, which made the models in sentencepiece/."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from pytest_aprqa.artifact.check import check_artifact
from pytest_aprqa.artifact.config_hf import config_from_hf
from pytest_aprqa.artifact.convert import convert
from pytest_aprqa.artifact.digest import DigestCache
from pytest_aprqa.artifact.files import make_artifact
from pytest_aprqa.artifact.model import Artifact, ArtifactError, ArtifactFault
from pytest_aprqa.artifact.protobuf import fields
from pytest_aprqa.artifact.sentencepiece_model import Algorithm, read_sentencepiece
from pytest_aprqa.artifact.tokenizer import TokenizerModel, TokenType, Vocabulary
from pytest_aprqa.artifact.tokenizer_hf import tokenizer_json
from pytest_aprqa.artifact.tokenizer_read import vocabulary_from_hf
from pytest_aprqa.words import Format

HERE = Path(__file__).parent / "sentencepiece"
SAID = json.loads((HERE / "said.json").read_text("utf-8"))
NAMES = ("bpe", "no-prefix")
CONFIG = config_from_hf(
    {
        "model_type": "llama",
        "vocab_size": 400,
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 8,
        "max_position_embeddings": 64,
        "rms_norm_eps": 1e-5,
        "eos_token_id": 2,
    }
)


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def nested(field: int, body: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(body)) + body


def piece(text: str, score: float = 0.0, kind: int = 1) -> bytes:
    return nested(
        1, nested(1, text.encode()) + b"\x15" + struct.pack("<f", score) + number(3, kind)
    )


PIECES = piece("<unk>", kind=2) + piece("<s>", kind=3) + piece("</s>", kind=3) + piece("▁a", -1)
TRAINER = number(3, 2) + number(35, 1)
NORMALIZER = number(4, 0)
SOUND = PIECES + nested(2, TRAINER) + nested(3, NORMALIZER)


def directory_of(place: Path, data: bytes, **stated: Any) -> Path:
    (place / "tokenizer.model").write_bytes(data)
    (place / "tokenizer_config.json").write_text(json.dumps(stated))
    return place


def read(place: Path, data: bytes, **stated: Any) -> Vocabulary:
    vocabulary = vocabulary_from_hf(directory_of(place, data, **stated), CONFIG)
    assert vocabulary is not None
    return vocabulary


@pytest.mark.parametrize("name", NAMES)
def test_texts_become_the_tokens_that_sentencepiece_makes_of_them(
    tmp_path: Path, name: str
) -> None:
    vocabulary = read(tmp_path, (HERE / f"{name}.model").read_bytes())
    assert vocabulary.model is TokenizerModel.SENTENCEPIECE_BPE
    assert vocabulary.add_space_prefix is (name == "bpe")
    tokenizer = Tokenizer.from_str(json.dumps(tokenizer_json(vocabulary)))
    for text, expected in zip(SAID["texts"], SAID["ids"][name], strict=True):
        assert tokenizer.encode(text, add_special_tokens=False).ids == expected, text


def test_special_pieces_and_ids_are_told() -> None:
    model = read_sentencepiece(HERE / "bpe.model")
    assert model.algorithm == Algorithm.BPE
    assert (model.unk, model.bos, model.eos, model.pad) == (0, 1, 2, -1)
    assert [piece.text for piece in model.pieces[:6]] == [
        "<unk>",
        "<s>",
        "</s>",
        "<|im_start|>",
        "<|im_end|>",
        "<tool>",
    ]
    assert [piece.kind for piece in model.pieces[:7]] == [2, 3, 3, 3, 3, 4, 6]


@pytest.fixture(scope="module")
def llama(tiny_models: Any, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Return a model whose tokenizer is there as tokenizer.model alone."""
    place = tmp_path_factory.mktemp("llama") / "model"
    shutil.copytree(tiny_models.artifact("llama").path, place)
    (place / "tokenizer.json").unlink()
    shutil.copy(HERE / "bpe.model", place / "tokenizer.model")
    stated = {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>"}
    (place / "tokenizer_config.json").write_text(json.dumps(stated))
    return make_artifact(Format.SAFETENSORS, place, "tests", DigestCache())


def test_a_model_with_it_is_sound_converts_and_encodes_alike_in_both_engines(
    llama: Artifact,
    tmp_path: Path,
    ask_llama_cpp: Callable[..., dict[str, Any]],
    ask_tokenizer: Callable[..., dict[str, Any]],
) -> None:
    assert check_artifact(llama).errors == ()
    gguf = convert(llama, Format.GGUF, tmp_path / "gguf")
    assert check_artifact(gguf, reference=llama).findings == ()
    texts = SAID["texts"]
    theirs = ask_llama_cpp([gguf.path], texts)[str(gguf.path)]["tokens"]
    ours = ask_tokenizer(texts, llama.path)
    assert theirs == ours["ids"] == SAID["ids"]["bpe"]
    assert ours["texts"] == texts
    back = convert(gguf, Format.SAFETENSORS, tmp_path / "back")
    assert ask_tokenizer(texts, back.path) == ours


def test_what_stands_beside_it_adds_tokens_and_names_special_ones(tmp_path: Path) -> None:
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<extra>": 6}))
    vocabulary = read(
        tmp_path,
        SOUND,
        added_tokens_decoder={
            "2": {"content": "</s>", "special": True},
            "4": {"content": "<|im_end|>", "special": True},
            "5": {"content": "<word>", "special": False},
        },
        eos_token={"content": "<|im_end|>"},
        pad_token="<unk>",
        add_bos_token=True,
        chat_template="{{ messages }}",
    )
    assert vocabulary.tokens[4:] == ("<|im_end|>", "<word>", "<extra>")
    kinds = [TokenType.CONTROL, TokenType.USER_DEFINED, TokenType.CONTROL]
    assert [*vocabulary.types[4:]] == kinds
    assert (vocabulary.bos, vocabulary.eos, vocabulary.eot, vocabulary.pad) == (1, 4, 2, 0)
    assert (vocabulary.add_bos, vocabulary.add_eos) == (True, False)
    assert vocabulary.chat_template == "{{ messages }}"
    assert len(vocabulary.scores) == 7


def test_ids_that_nobody_adds_are_unused(tmp_path: Path) -> None:
    added = {"6": {"content": "<far>", "special": True}}
    vocabulary = read(tmp_path, SOUND, added_tokens_decoder=added)
    assert vocabulary.types[4:] == (TokenType.UNUSED, TokenType.UNUSED, TokenType.CONTROL)


@pytest.mark.parametrize(
    ("trainer", "normalizer", "words"),
    [
        (number(3, 1) + number(35, 1), NORMALIZER, "algorithm UNIGRAM is not supported"),
        (number(3, 9) + number(35, 1), NORMALIZER, "algorithm 9 is not supported"),
        (TRAINER, NORMALIZER + nested(2, b"table"), "normalises text by a table"),
        (TRAINER, b"", "removes extra spaces"),
        (TRAINER, NORMALIZER + number(5, 0), r"does not write a space as U\+2581"),
        (TRAINER + number(24, 1), NORMALIZER, "puts a space behind a word"),
        (number(3, 2), NORMALIZER, "has no bytes for what it has no piece for"),
    ],
)
def test_what_gguf_has_no_word_for_is_unsupported_and_said(
    tmp_path: Path, trainer: bytes, normalizer: bytes, words: str
) -> None:
    with pytest.raises(ArtifactError, match=words) as raised:
        read(tmp_path, PIECES + nested(2, trainer) + nested(3, normalizer))
    assert raised.value.fault is ArtifactFault.UNSUPPORTED


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it has no pieces"),
        (b"sentencepiece", "is no SentencePiece model"),
        (SOUND[:-1], "takes 2 bytes, 1 are left|has no end"),
        (nested(1, b"\x0a\xff" + b"\xff" * 8 + b"\x01"), r"takes \d+ bytes, 0 are left"),
        (nested(1, nested(1, b"\xff\xfe")), "is no SentencePiece model"),
        (nested(1, number(1, 7)), "a number stands where a text"),
        (nested(1, nested(3, b"x")), "stands where a number must"),
        (nested(1, nested(2, b"xyz")), "3 bytes stand where a number of 4 must"),
        (b"\x0b", "wire type 3 of field 1"),
        (b"\x00\x00", "field 0 before byte 1"),
        (b"\x80" * 12, "has no end"),
        (SOUND + piece("x", kind=9), "token type 9 does not exist"),
    ],
)
def test_a_file_that_contradicts_itself_is_malformed(
    tmp_path: Path, data: bytes, words: str
) -> None:
    with pytest.raises(ArtifactError, match=words) as raised:
        read(tmp_path, data)
    assert (raised.value.fault, raised.value.rule) == (ArtifactFault.MALFORMED, "G0-TOKENIZER")


@pytest.mark.parametrize(
    "added", [{"-1": {"content": "x"}}, {"x": {"content": "x"}}, {"3000000000": {"content": "x"}}]
)
def test_an_added_token_of_an_id_that_cannot_be_is_malformed(
    tmp_path: Path, added: dict[str, Any]
) -> None:
    with pytest.raises(ArtifactError) as raised:
        read(tmp_path, SOUND, added_tokens_decoder=added)
    assert raised.value.fault is ArtifactFault.MALFORMED


def test_an_added_token_that_is_another_piece_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="token 3 is '▁a', added as 'b'"):
        read(tmp_path, SOUND, added_tokens_decoder={"3": {"content": "b"}})


@given(
    st.lists(
        st.tuples(
            st.integers(1, 1 << 20),
            st.one_of(st.integers(0, (1 << 64) - 1), st.binary(max_size=300)),
        )
    )
)
def test_fields_that_were_written_are_read(written: list[tuple[int, int | bytes]]) -> None:
    message = b"".join(
        number(field, value) if isinstance(value, int) else nested(field, value)
        for field, value in written
    )
    found = [
        (field, value if isinstance(value, int) else bytes(value))
        for field, value in fields(memoryview(message))
    ]
    assert found == written


@given(st.binary(max_size=200))
def test_any_bytes_are_read_within_their_end_or_refused(data: bytes) -> None:
    with suppress(ValueError):
        total = sum(len(v) for _, v in fields(memoryview(data)) if isinstance(v, memoryview))
        assert total <= len(data)


def test_scores_are_those_of_the_file(tmp_path: Path) -> None:
    assert np.allclose(read(tmp_path, SOUND).scores, (0, 0, 0, -1))
