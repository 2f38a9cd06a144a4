"""Reading a tokenizer from Hugging Face files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from pytest_aprqa.artifact.config import ModelConfig
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.model_file import read_text
from pytest_aprqa.artifact.sentencepiece_model import SENTENCEPIECE_FILE
from pytest_aprqa.artifact.template import read_template
from pytest_aprqa.artifact.tokenizer import (
    RULE,
    TokenizerModel,
    TokenType,
    Vocabulary,
    require_filled,
)
from pytest_aprqa.artifact.tokenizer_pre import recognise
from pytest_aprqa.artifact.tokenizer_sentencepiece import (
    added_tokens,
    vocabulary_from_sentencepiece,
)
from pytest_aprqa.artifact.tokenizer_unsaid import refuse_unsaid, unsaid_of_added_tokens
from pytest_aprqa.artifact.wrong_kind import wrong_kind_is_malformed

_OTHER_FORMS = ("vocab.json", "vocab.txt")


def vocabulary_from_hf(directory: Path, config: ModelConfig) -> Vocabulary | None:
    """Return the tokenizer of a SafeTensors directory, or None when it has none.

    Args:
        directory: with tokenizer.json, or else tokenizer.model, and, where there are,
            tokenizer_config.json and template.
        config: gives the special ids the tokenizer's files leave out.

    Raises:
        ArtifactError: UNSUPPORTED for a tokenizer that GGUF and APR have no words for; MALFORMED
            (G0-TOKENIZER) when a file contradicts itself.
    """
    path = directory / "tokenizer.json"
    if not path.exists():
        path = directory / SENTENCEPIECE_FILE
        if path.exists():
            with wrong_kind_is_malformed(RULE, path.name):
                return _sentencepiece(path, config)
        _refuse_other_tokenizer(directory)
        return None
    with wrong_kind_is_malformed(RULE, path.name):
        return _understand(path, config)


def _understand(path: Path, config: ModelConfig) -> Vocabulary:
    directory = path.parent
    tokenizer, stated = _read(path), _read(directory / "tokenizer_config.json")
    model = tokenizer.get("model", {})
    if model.get("type", "BPE") != "BPE":
        raise ArtifactError(
            ArtifactFault.UNSUPPORTED,
            f"{path}: tokenizer model {model.get('type')!r} is not supported, only BPE is",
        )
    is_spm = bool(model.get("byte_fallback")) or not _has_byte_level(tokenizer)
    refuse_unsaid(path, tokenizer, is_spm=is_spm)
    tokens, types = _entries(tokenizer, is_byte=is_spm)
    ids = {token: number for number, token in enumerate(tokens)}
    merges = _pairs(model.get("merges", ()))
    eos = _special(stated, "eos_token", ids)
    stated_ends = [end for end in config.eos_token_ids if end in range(len(tokens))]
    ends = tuple(dict.fromkeys((*(() if eos is None else (eos,)), *stated_ends)))
    bos = _special(stated, "bos_token", ids)
    bos = _within(config.bos_token_id, tokens) if bos is None else bos
    pad = _special(stated, "pad_token", ids)
    added = _added_by_template(tokenizer)
    return Vocabulary(
        model=TokenizerModel.SENTENCEPIECE_BPE if is_spm else TokenizerModel.BYTE_LEVEL_BPE,
        pre="" if is_spm else recognise(tokenizer).name,
        tokens=tokens,
        types=types,
        merges=() if is_spm else merges,
        scores=_scores(tokens, types, merges) if is_spm else (),
        bos=bos,
        eos=ends[0] if ends else None,
        eot=ends[1] if len(ends) > 1 else None,
        unk=_special(stated, "unk_token", ids),
        pad=_within(config.pad_token_id, tokens) if pad is None else pad,
        add_bos=_stated(stated, "add_bos_token", added.first in _text(tokens, bos)),
        add_eos=_stated(stated, "add_eos_token", added.last in _text(tokens, eos)),
        add_space_prefix=is_spm and _prepends(tokenizer),
        strips_after=frozenset(
            entry["id"] for entry in tokenizer.get("added_tokens", ()) if entry.get("rstrip")
        ),
        chat_template=read_template(directory, stated),
        unsaid=unsaid_of_added_tokens(tokenizer),
    )


def _sentencepiece(path: Path, config: ModelConfig) -> Vocabulary:
    directory = path.parent
    stated = _read(directory / "tokenizer_config.json")
    added = added_tokens(stated, _read(directory / "added_tokens.json"))
    found = vocabulary_from_sentencepiece(path, added)
    ids = {token: number for number, token in enumerate(found.tokens)}
    roles: dict[str, Any] = {
        role: number
        for role in ("bos", "eos", "unk", "pad")
        if (number := _special(stated, f"{role}_token", ids)) is not None
    }
    found = replace(found, **roles)
    other = [end for end in config.eos_token_ids if end in ids.values() and end != found.eos]
    return replace(
        found,
        eot=other[0] if other else None,
        # As transformers 5 has it: neither is added unless the file says so.
        add_bos=_stated(stated, "add_bos_token", default=False),
        add_eos=_stated(stated, "add_eos_token", default=False),
        chat_template=read_template(directory, stated),
    )


def _refuse_other_tokenizer(directory: Path) -> None:
    """Raise ArtifactError UNSUPPORTED when a tokenizer is there in a form we do not read."""
    others = [name for name in _OTHER_FORMS if (directory / name).is_file()]
    if others:
        raise ArtifactError(
            ArtifactFault.UNSUPPORTED,
            f"{directory} has its tokenizer as {others[0]} only; save it as tokenizer.json",
            where=others[0],
        )


def _scores(
    tokens: tuple[str, ...], types: tuple[TokenType, ...], merges: tuple[tuple[str, str], ...]
) -> tuple[float, ...]:
    """Return scores under which SentencePiece merges in the order of the merges.

    A token scores minus the rank of the first merge that makes it; what no merge makes, minus the
    number of merges, and special tokens 0, as SentencePiece has it.
    """
    ranks: dict[str, int] = {}
    for rank, (left, right) in enumerate(merges):
        ranks.setdefault(left + right, rank)
    return tuple(
        -float(ranks.get(token, len(merges))) if kind is TokenType.NORMAL else 0.0
        for token, kind in zip(tokens, types, strict=True)
    )


def _entries(
    tokenizer: Mapping[str, Any], *, is_byte: bool
) -> tuple[tuple[str, ...], tuple[TokenType, ...]]:
    """Return text and kind of every id; ids nobody uses become padding."""
    vocab: Mapping[str, int] = tokenizer["model"].get("vocab", {})
    added = {entry["id"]: entry for entry in tokenizer.get("added_tokens", ())}
    texts = {number: token for token, number in vocab.items()}
    texts.update({number: entry["content"] for number, entry in added.items()})
    unknown = tokenizer["model"].get("unk_token")

    kinds = dict.fromkeys(texts, TokenType.NORMAL)
    if is_byte:
        kinds |= {number: TokenType.BYTE for number, token in texts.items() if _is_hex(token)}
    for number, entry in added.items():
        kinds[number] = TokenType.CONTROL if entry["special"] else TokenType.USER_DEFINED
    if is_byte and unknown is not None:
        kinds |= {number: TokenType.UNKNOWN for number, token in texts.items() if token == unknown}
    if not texts:
        raise ValueError("no token has an id")
    require_filled(max(texts), len(texts))
    rows = range(max(texts) + 1)
    for number in {*rows} - texts.keys():
        texts[number], kinds[number] = f"[PAD{number}]", TokenType.UNUSED
    return tuple(map(texts.__getitem__, rows)), tuple(map(kinds.__getitem__, rows))


def _is_hex(token: str) -> bool:
    return len(token) == 6 and token.startswith("<0x") and token.endswith(">")


class _Added:
    """The texts a TemplateProcessing puts first and last around a single sequence."""

    def __init__(self, single: list[Mapping[str, Any]]) -> None:
        self.first = self._special(single[0]) if single else None
        self.last = self._special(single[-1]) if single else None

    @staticmethod
    def _special(part: Mapping[str, Any]) -> str | None:
        special = part.get("SpecialToken")
        return special["id"] if special else None


def _added_by_template(tokenizer: Mapping[str, Any]) -> _Added:
    processor = tokenizer.get("post_processor") or {}
    for part in (processor, *processor.get("processors", ())):
        if part.get("type") == "TemplateProcessing":
            return _Added(part["single"])
    return _Added([])


def _stated(stated: Mapping[str, Any], key: str, default: bool) -> bool:
    value = stated.get(key)
    return default if value is None else bool(value)


def _within(number: int | None, tokens: Sequence[str]) -> int | None:
    """Drop an id no token has: old configurations write -1 for none."""
    return number if number in range(len(tokens)) else None


def _text(tokens: tuple[str, ...], number: int | None) -> tuple[str, ...]:
    return () if number is None or number >= len(tokens) else (tokens[number],)


def _special(stated: Mapping[str, Any], key: str, ids: Mapping[str, int]) -> int | None:
    value = stated.get(key)
    content = value.get("content") if isinstance(value, dict) else value
    return ids.get(content) if isinstance(content, str) else None


def _has_byte_level(tokenizer: Mapping[str, Any]) -> bool:
    return "ByteLevel" in json.dumps([tokenizer.get("pre_tokenizer"), tokenizer.get("decoder")])


def _prepends(tokenizer: Mapping[str, Any]) -> bool:
    if '"Prepend"' in json.dumps(tokenizer.get("normalizer")):
        return True
    pre = tokenizer.get("pre_tokenizer") or {}
    parts = (pre, *pre.get("pretokenizers", ()))
    return any(
        part.get("type") == "Metaspace" and part.get("prepend_scheme", "always") != "never"
        for part in parts
    )


def _pairs(merges: Iterable[Any]) -> tuple[tuple[str, str], ...]:
    pairs = [merge.split(" ", 1) if isinstance(merge, str) else merge for merge in merges]
    if {*map(len, pairs)} - {2} or {*map(type, chain.from_iterable(pairs))} - {str}:
        wrong = next(pair for pair in pairs if [*map(type, pair)] != [str, str])
        raise TypeError(f"merge {wrong!r} is no pair of texts")
    return tuple(map(tuple, pairs))


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(read_text(path))
    except FileNotFoundError:
        return {}
    except (ValueError, OSError) as error:
        raise ArtifactError(
            ArtifactFault.MALFORMED, f"{path} cannot be read: {error}", rule=RULE, where=path.name
        ) from error
    if not isinstance(value, dict):
        raise ArtifactError(
            ArtifactFault.MALFORMED, f"{path} holds no object", rule=RULE, where=path.name
        )
    return value
