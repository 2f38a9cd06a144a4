"""A tokenizer that is there as tokenizer.model alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.sentencepiece_model import (
    Algorithm,
    SentencePieceModel,
    read_sentencepiece,
)
from pytest_aprqa.artifact.tokenizer import (
    TokenizerModel,
    TokenType,
    Vocabulary,
    require_filled,
    token_type,
)

_SCORE_OF_ADDED = -1000.0


def vocabulary_from_sentencepiece(path: Path, added: Mapping[int, tuple[str, bool]]) -> Vocabulary:
    """Return the tokenizer of a tokenizer.model, without what other files say of it.

    Args:
        path: of tokenizer.model.
        added: text and whether it is special, by id, of tokens that other files add.

    Raises:
        ArtifactError: UNSUPPORTED for a model that cuts or normalises as GGUF and APR cannot say;
            MALFORMED (G0-TOKENIZER) when the file contradicts itself.
        ValueError: an added id is far beyond the others.
    """
    model = read_sentencepiece(path)
    _refuse_what_has_no_words(path, model)
    tokens = [piece.text for piece in model.pieces]
    types = [token_type(piece.kind) for piece in model.pieces]
    scores = [piece.score for piece in model.pieces]
    require_filled(max(added, default=-1), len(tokens) + len(added))
    for number in range(len(tokens), max(added, default=-1) + 1):
        text, special = added.get(number, (f"[PAD{number}]", False))
        kind = TokenType.CONTROL if special else TokenType.USER_DEFINED
        tokens.append(text)
        types.append(kind if number in added else TokenType.UNUSED)
        scores.append(_SCORE_OF_ADDED)
    for number, (text, special) in added.items():
        if text != tokens[number]:
            raise _unsupported(path, f"token {number} is {tokens[number]!r}, added as {text!r}")
        if special and types[number] is TokenType.NORMAL:
            types[number] = TokenType.CONTROL
    return Vocabulary(
        model=TokenizerModel.SENTENCEPIECE_BPE,
        pre="",
        tokens=tuple(tokens),
        types=tuple(types),
        scores=tuple(scores),
        bos=_within(model.bos, model),
        eos=_within(model.eos, model),
        unk=_within(model.unk, model),
        pad=_within(model.pad, model),
        add_space_prefix=model.adds_space,
    )


def added_tokens(
    stated: Mapping[str, Any], listed: Mapping[str, Any]
) -> dict[int, tuple[str, bool]]:
    """Return the tokens that tokenizer_config.json and added_tokens.json add, by id.

    Args:
        stated: tokenizer_config.json.
        listed: added_tokens.json, which says of no token whether it is special; all are.
    """
    added = {int(number): (str(text), True) for text, number in listed.items()}
    for number, entry in (stated.get("added_tokens_decoder") or {}).items():
        added[int(number)] = (str(entry["content"]), bool(entry.get("special", False)))
    if any(number < 0 for number in added):
        raise ValueError(f"an added token has id {min(added)}")
    return added


def _refuse_what_has_no_words(path: Path, model: SentencePieceModel) -> None:
    if model.algorithm != Algorithm.BPE:
        names = {kind.value: kind.name for kind in Algorithm}
        name = names.get(model.algorithm, str(model.algorithm))
        raise _unsupported(
            path, f"the SentencePiece algorithm {name} is not supported, only BPE is"
        )
    for holds, what in (
        (model.rewrites, "normalises text by a table"),
        (model.squeezes_spaces, "removes extra spaces"),
        (not model.escapes_spaces, "does not write a space as U+2581"),
        (model.space_as_suffix, "puts a space behind a word"),
        (not model.byte_fallback, "has no bytes for what it has no piece for"),
    ):
        if holds:
            raise _unsupported(path, f"it {what}, which GGUF and APR have no word for")


def _within(number: int, model: SentencePieceModel) -> int | None:
    return number if number in range(len(model.pieces)) else None


def _unsupported(path: Path, why: str) -> ArtifactError:
    return ArtifactError(ArtifactFault.UNSUPPORTED, f"{path}: {why}", where=path.name)
