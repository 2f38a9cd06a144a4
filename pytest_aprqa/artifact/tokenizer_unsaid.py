"""What a tokenizer.json can say and GGUF and APR cannot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault

_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
# How SentencePiece writes spaces, which its model in GGUF implies.
_SPACES: tuple[dict[str, Any], ...] = (
    {"type": "Prepend", "prepend": _SPACE},
    {"type": "Replace", "pattern": {"String": " "}, "content": _SPACE},
)
_MODEL = ("dropout", "continuing_subword_prefix", "end_of_word_suffix")
_ADDED = {"lstrip": "swallow the white space before them", "single_word": "match whole words only"}
_SHOWN = 3


def refuse_unsaid(path: Path, tokenizer: Mapping[str, Any], *, is_spm: bool) -> None:
    """Raise when a tokenizer.json changes texts in a way that GGUF and APR have no words for.

    Args:
        path: of the file.
        tokenizer: what it says.
        is_spm: it is SentencePiece's; else byte-level BPE.

    Raises:
        ArtifactError: UNSUPPORTED, naming the normaliser or the setting.
    """
    for part in _normalizers(tokenizer.get("normalizer")):
        if part not in _SPACES if is_spm else part.get("type") != "NFC":
            raise _unsupported(path, f"normaliser {part.get('type')!r}")
    model = tokenizer.get("model") or {}
    for key in _MODEL:
        if model.get(key):
            raise _unsupported(path, f"{key} of {model[key]!r}")


def unsaid_of_added_tokens(tokenizer: Mapping[str, Any]) -> tuple[str, ...]:
    """Return in words what is lost of the added tokens, which matters in few texts only."""
    found = []
    for key, what in _ADDED.items():
        tokens = [entry["content"] for entry in tokenizer.get("added_tokens", ()) if entry.get(key)]
        if tokens:
            shown = ", ".join(map(repr, tokens[:_SHOWN])) + (", ..." if tokens[_SHOWN:] else "")
            found.append(f"{len(tokens)} added tokens {what} ({key}), which is lost: {shown}")
    return tuple(found)


def _normalizers(stated: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    if not stated:
        return
    if stated.get("type") != "Sequence":
        yield stated
    for part in stated.get("normalizers", ()):
        yield from _normalizers(part)


def _unsupported(path: Path, what: str) -> ArtifactError:
    return ArtifactError(
        ArtifactFault.UNSUPPORTED,
        f"{path}: GGUF and APR have no word for the {what} of this tokenizer",
        where=path.name,
    )
