"""The tokenizer of a model in one form for all formats, and its keys in GGUF and APR."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from functools import lru_cache
from typing import Any

from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.tokenizer_pre import pre_type
from pytest_aprqa.artifact.wrong_kind import wrong_kind_is_malformed

RULE = "G0-TOKENIZER"
_PADDING = re.compile(r"\[PAD\d+\]")
_PHI3 = re.compile(r"phi-?3", re.IGNORECASE)
_PHI3_PLAIN = ("<unk>", "<s>", "<|endoftext|>")
_GGUF, _GGUF_TEMPLATE, _APR = "tokenizer.ggml.", "tokenizer.chat_template", "tokenizer."
_APR_STRIPS_AFTER = "tokenizer.strips_after"  # a key of our own
_APR_NAMES = {"tokens": "vocabulary", "pre": "pre_type"}
_GGUF_NAMES = {apr: gguf for gguf, apr in _APR_NAMES.items()}


class TokenizerModel(StrEnum):
    """The algorithm, by GGUF's word for it."""

    BYTE_LEVEL_BPE = "gpt2"
    SENTENCEPIECE_BPE = "llama"


_DEFAULT_MODEL = TokenizerModel.BYTE_LEVEL_BPE


class TokenType(IntEnum):
    """What a vocabulary entry is, by GGUF's number."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


_MOST_HOLES = 100_000
"""Ids that no token has, at most: real vocabularies leave out some hundreds."""


def require_filled(last: int, tokens: int) -> None:
    """Raise ValueError when the last id is far beyond the number of tokens: holes cost memory."""
    if last >= tokens + _MOST_HOLES:
        raise ValueError(f"ids up to {last} for {tokens} tokens")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A tokenizer: its entries, its merges and the ids with a meaning.

    Attributes:
        model: the algorithm.
        pre: how text is cut before merging, by GGUF's word ("smollm"); "" for SentencePiece.
        tokens: text of each id; byte-level entries in the GPT-2 byte alphabet.
        types: kind of each id, as long as tokens.
        merges: (left, right) pairs by falling priority.
        scores: log-probability of each id, SentencePiece only, else empty.
        bos, eos, unk, pad: ids, or None.
        eot: a second id that ends a turn, or None.
        add_bos, add_eos: whether encoding a text adds them.
        add_space_prefix: whether a space is put before a text (SentencePiece).
        strips_after: ids of special tokens that swallow the white space after them.
        chat_template: Jinja source, or None.
        unsaid: sentences on what its files say and neither GGUF nor APR has words for.
    """

    model: TokenizerModel
    pre: str
    tokens: tuple[str, ...]
    types: tuple[TokenType, ...]
    merges: tuple[tuple[str, str], ...] = ()
    scores: tuple[float, ...] = ()
    bos: int | None = None
    eos: int | None = None
    eot: int | None = None
    unk: int | None = None
    pad: int | None = None
    add_bos: bool = False
    add_eos: bool = False
    add_space_prefix: bool = False
    strips_after: frozenset[int] = frozenset()
    chat_template: str | None = None
    unsaid: tuple[str, ...] = ()

    def padded(self, rows: int) -> Vocabulary:
        """Return it with unused entries up to the rows of the embedding, as GGUF demands."""
        missing = range(len(self.tokens), rows)
        scores = self.scores + (-1000.0,) * len(missing) if self.scores else ()
        return replace(
            self,
            tokens=self.tokens + tuple(f"[PAD{number}]" for number in missing),
            types=self.types + (TokenType.UNUSED,) * len(missing),
            scores=scores,
        )

    def unpadded(self) -> Vocabulary:
        """Return it without the unused entries at its end that only fill up an embedding."""
        end = len(self.tokens)
        while end and self._is_padding(end - 1):
            end -= 1
        return replace(
            self, tokens=self.tokens[:end], types=self.types[:end], scores=self.scores[:end]
        )

    def _is_padding(self, number: int) -> bool:
        unused = self.types[number] is TokenType.UNUSED
        return unused and _PADDING.fullmatch(self.tokens[number]) is not None


def vocabulary_from_gguf(metadata: Mapping[str, Any]) -> Vocabulary | None:
    """Return the tokenizer in GGUF key-values, or None when they hold none.

    What the file leaves out is as llama.cpp assumes it.

    Raises:
        ArtifactError: UNSUPPORTED for an algorithm or cutting we do not know; MALFORMED
            (G0-TOKENIZER) when the keys contradict each other.
    """
    with wrong_kind_is_malformed(RULE, "tokenizer"):
        return _understand(metadata)


def _understand(metadata: Mapping[str, Any]) -> Vocabulary | None:
    keys = {
        key.removeprefix(_GGUF): value for key, value in metadata.items() if key.startswith(_GGUF)
    }
    if "tokens" not in keys:
        return None
    tokens = tuple(keys["tokens"])
    if not all(isinstance(token, str) for token in tokens):
        raise _malformed("a token is no text")
    model = _model(keys.get("model"))
    is_spm = model is TokenizerModel.SENTENCEPIECE_BPE
    pre = "" if is_spm else str(keys.get("pre", "default"))
    types = keys.get("token_type", [TokenType.NORMAL] * len(tokens))
    scores = keys.get("scores", ()) if is_spm else ()
    if len(types) != len(tokens):
        raise _malformed(f"{len(tokens)} tokens but {len(types)} token types")
    if is_spm and len(scores) != len(tokens):
        raise _malformed(f"{len(tokens)} tokens but {len(scores)} scores")
    if not is_spm and "merges" not in keys:
        raise _malformed("a byte-level BPE tokenizer without merges")
    eos, eot = _id(keys, "eos", tokens), _id(keys, "eot", tokens)
    return Vocabulary(
        model=model,
        pre=pre,
        tokens=tokens,
        types=tuple(map(token_type, types)),
        merges=() if is_spm else _pairs(keys["merges"]),
        scores=tuple(float(score) for score in scores),
        bos=_id(keys, "bos", tokens),
        eos=eos,
        eot=None if eot == eos else eot,
        unk=_id(keys, "unknown", tokens),
        pad=_id(keys, "padding", tokens),
        add_bos=bool(keys.get("add_bos_token", is_spm or pre_type(pre).add_bos)),
        add_eos=bool(keys.get("add_eos_token", False)),
        add_space_prefix=bool(keys.get("add_space_prefix", is_spm)),
        strips_after=_strips_after(metadata, tokens, types),
        chat_template=metadata.get(_GGUF_TEMPLATE),
    )


def _id(keys: Mapping[str, Any], role: str, tokens: Sequence[str]) -> int | None:
    number = keys.get(f"{role}_token_id")
    if number is not None and number not in range(len(tokens)):
        raise _malformed(f"{role}_token_id is {number!r}, the vocabulary has {len(tokens)} entries")
    return number


def _strips_after(
    metadata: Mapping[str, Any], tokens: Sequence[str], types: Sequence[int]
) -> frozenset[int]:
    """Return the tokens llama.cpp strips white space after: Phi-3's, which it tells by name."""
    if not _PHI3.search(str(metadata.get("general.name", ""))):
        return frozenset()
    return frozenset(
        number
        for number, (token, kind) in enumerate(zip(tokens, types, strict=True))
        if kind in (TokenType.CONTROL, TokenType.USER_DEFINED) and token not in _PHI3_PLAIN
    )


def vocabulary_to_gguf(vocabulary: Vocabulary) -> dict[str, Any]:
    """Return the key-values of a tokenizer; what it does not have is left out."""
    is_spm = vocabulary.model is TokenizerModel.SENTENCEPIECE_BPE
    values: dict[str, Any] = {
        "model": vocabulary.model.value,
        "pre": vocabulary.pre or "default",
        "tokens": list(vocabulary.tokens),
        "token_type": [int(kind) for kind in vocabulary.types],
        "scores": list(vocabulary.scores) if is_spm else None,
        "merges": None if is_spm else [" ".join(pair) for pair in vocabulary.merges],
        "bos_token_id": vocabulary.bos,
        "eos_token_id": vocabulary.eos,
        "eot_token_id": vocabulary.eot,
        "unknown_token_id": vocabulary.unk,
        "padding_token_id": vocabulary.pad,
        "add_bos_token": vocabulary.add_bos,
        "add_eos_token": vocabulary.add_eos,
        "add_space_prefix": vocabulary.add_space_prefix,
    }
    keys = {f"{_GGUF}{key}": value for key, value in values.items() if value is not None}
    if vocabulary.chat_template is not None:
        keys[_GGUF_TEMPLATE] = vocabulary.chat_template
    return keys


def vocabulary_from_apr(metadata: Mapping[str, Any]) -> Vocabulary | None:
    """Return the tokenizer in APR metadata, or None when it holds none.

    Raises:
        ArtifactError: as `vocabulary_from_gguf`.
    """
    keys = {
        f"{_GGUF}{_GGUF_NAMES.get(name, name)}": value
        for key, value in metadata.items()
        if (name := key.removeprefix(_APR)) != key
    }
    if f"{_GGUF}model" not in keys:
        guess = TokenizerModel.SENTENCEPIECE_BPE if f"{_GGUF}scores" in keys else _DEFAULT_MODEL
        keys[f"{_GGUF}model"] = guess.value
    template = metadata.get("chat_template") or metadata.get(_GGUF_TEMPLATE)
    vocabulary = vocabulary_from_gguf({**keys, _GGUF_TEMPLATE: template})
    strips_after = frozenset(metadata.get(_APR_STRIPS_AFTER, ()))
    return vocabulary and replace(vocabulary, strips_after=strips_after)


def vocabulary_to_apr(vocabulary: Vocabulary) -> dict[str, Any]:
    """Return the APR metadata of a tokenizer: GGUF's keys under the names APR has for them."""
    keys = vocabulary_to_gguf(vocabulary)
    template = keys.pop(_GGUF_TEMPLATE, None)
    apr = {
        f"{_APR}{_APR_NAMES.get(name, name)}": value
        for key, value in keys.items()
        if (name := key.removeprefix(_GGUF))
    }
    apr["tokenizer.vocab_size"] = len(vocabulary.tokens)
    if vocabulary.strips_after:
        apr[_APR_STRIPS_AFTER] = sorted(vocabulary.strips_after)
    return apr if template is None else {**apr, "chat_template": template}


def _model(name: object) -> TokenizerModel:
    try:
        return TokenizerModel(str(name))
    except ValueError:
        raise ArtifactError(
            ArtifactFault.UNSUPPORTED,
            f"tokenizer model {name!r} is not known; known are {', '.join(TokenizerModel)}",
        ) from None


@lru_cache
def token_type(value: int) -> TokenType:
    """Return the kind with GGUF's number. Raises ArtifactError MALFORMED when there is none."""
    try:
        return TokenType(value)
    except ValueError:
        raise _malformed(f"token type {value!r} does not exist") from None


def _pairs(merges: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Split merges at the space after their first character, as llama.cpp does."""
    parted = [merge.partition(" ") for merge in merges]
    return tuple(
        (left, right) if left and space else _pair(left + space + right)
        for left, space, right in parted
    )


def _pair(merge: str) -> tuple[str, str]:
    at = merge.find(" ", 1)
    if at < 0:
        raise _malformed(f"merge {merge!r} is no pair")
    return merge[:at], merge[at + 1 :]


def _malformed(message: str) -> ArtifactError:
    return ArtifactError(
        ArtifactFault.MALFORMED, f"tokenizer: {message}", rule=RULE, where="tokenizer"
    )
