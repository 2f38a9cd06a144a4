"""Reading tokenizer.model, the file of SentencePiece: nothing of it is run."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import Any

from pytest_aprqa.artifact.malformed import environment, malformed
from pytest_aprqa.artifact.model_file import read_whole
from pytest_aprqa.artifact.protobuf import Value, fields

SENTENCEPIECE_FILE = "tokenizer.model"

_RULE = "G0-TOKENIZER"
_FLOAT = struct.Struct("<f")


class Algorithm(IntEnum):
    """How text is cut, by SentencePiece's number."""

    UNIGRAM = 1
    BPE = 2
    WORD = 3
    CHAR = 4


@dataclass(frozen=True, slots=True)
class Piece:
    """One entry of the vocabulary.

    Attributes:
        text: with U+2581 for a space.
        score: log-probability, or minus the rank of the merge.
        kind: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte, as in GGUF.
    """

    text: str = ""
    score: float = 0.0
    kind: int = 1


@dataclass(frozen=True, slots=True)
class SentencePieceModel:
    """What tokenizer.model says; a default is what SentencePiece assumes.

    Source: sentencepiece_model.proto of google/sentencepiece.

    Attributes:
        algorithm: of cutting.
        pieces: by id.
        unk, bos, eos, pad: ids; negative where there is none.
        byte_fallback: what no piece covers becomes its bytes.
        space_as_suffix: a space is put behind a word, not before it.
        rewrites: text is normalised by a table before it is cut.
        adds_space: before a text.
        squeezes_spaces: several spaces are one, and none is at the ends.
        escapes_spaces: a space is U+2581.
    """

    algorithm: int = Algorithm.UNIGRAM
    pieces: tuple[Piece, ...] = field(default=(), repr=False)
    unk: int = 0
    bos: int = 1
    eos: int = 2
    pad: int = -1
    byte_fallback: bool = False
    space_as_suffix: bool = False
    rewrites: bool = False
    adds_space: bool = True
    squeezes_spaces: bool = True
    escapes_spaces: bool = True


_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3
_TRAINER_FIELDS = {
    3: "algorithm",
    24: "space_as_suffix",
    35: "byte_fallback",
    40: "unk",
    41: "bos",
    42: "eos",
    43: "pad",
}
_NORMALIZER_FIELDS = {3: "adds_space", 4: "squeezes_spaces", 5: "escapes_spaces"}
_CHARSMAP = 2
_IDS = ("unk", "bos", "eos", "pad")


def read_sentencepiece(path: Path) -> SentencePieceModel:
    """Read a tokenizer.model.

    Raises:
        ArtifactError: MALFORMED (G0-TOKENIZER) when it is no such file; ENVIRONMENT when it cannot be
            read.
    """
    try:
        data = read_whole(path)
    except OSError as error:
        raise environment(path, error) from error
    try:
        return _model(memoryview(data))
    except (ValueError, TypeError) as error:
        raise malformed(
            path, _RULE, f"is no SentencePiece model: {error}", "the message"
        ) from error


def _model(message: memoryview) -> SentencePieceModel:
    pieces: list[Piece] = []
    stated: dict[str, Any] = {}
    for number, value in fields(message):
        if number == _PIECES:
            pieces.append(_piece(_message(value)))
        elif number == _TRAINER:
            stated |= _numbers(_message(value), _TRAINER_FIELDS)
        elif number == _NORMALIZER:
            stated |= _numbers(_message(value), _NORMALIZER_FIELDS)
            stated["rewrites"] = any(
                inner == _CHARSMAP and len(_message(text)) > 0
                for inner, text in fields(_message(value))
            )
    if not pieces:
        raise ValueError("it has no pieces")
    return replace(SentencePieceModel(pieces=tuple(pieces)), **stated)


def _piece(message: memoryview) -> Piece:
    text, score, kind = "", 0.0, 1
    for number, value in fields(message):
        if number == 1:
            text = str(_message(value), "utf-8")
        elif number == 2:
            (score,) = _FLOAT.unpack(_bytes_of(value, _FLOAT.size))
        elif number == 3:
            kind = _int32(value)
    return Piece(text, score, kind)


def _numbers(message: memoryview, names: Mapping[int, str]) -> dict[str, int | bool]:
    found: dict[str, int | bool] = {}
    for number, value in fields(message):
        name = names.get(number)
        if name is not None:
            plain = _int32(value)
            found[name] = plain if name in (*_IDS, "algorithm") else bool(plain)
    return found


def _message(value: Value) -> memoryview:
    if isinstance(value, int):
        raise TypeError("a number stands where a text or a message must")
    return value


def _bytes_of(value: Value, size: int) -> memoryview:
    data = _message(value)
    if len(data) != size:
        raise ValueError(f"{len(data)} bytes stand where a number of {size} must")
    return data


def _int32(value: Value) -> int:
    """Return a varint as the signed number it stands for."""
    if not isinstance(value, int):
        raise TypeError("a text or a message stands where a number must")
    low = value & 0xFFFF_FFFF
    return low - (1 << 32) if low >> 31 else low
