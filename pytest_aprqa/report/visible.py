"""Make text of unknown origin safe to show: what would steer a terminal or a reader's eye is spelt out."""

from __future__ import annotations

import unicodedata

_STEERING = frozenset("\u200b\u200e\u200f\u061c\ufeff\u202a\u202b\u202c\u202d\u202e")
_ISOLATES = frozenset("\u2066\u2067\u2068\u2069")
_CATEGORIES = frozenset(("Cc", "Cs", "Zl", "Zp"))
"""Controls, lone surrogates, line and paragraph separators."""


def visible(text: str, *, keep: str = "\n\t") -> str:
    """Return text with control, bidirectional and invisible characters as backslash escapes.

    Args:
        text: anything, for instance a model's answer.
        keep: characters left as they are.
    """
    return "".join(_spelt(character, keep) for character in text)


def one_line(text: str) -> str:
    """Return text on one line, line breaks and tabs as blanks, the rest made visible."""
    return visible(" ".join(text.split()), keep="")


def ascii_only(text: str) -> str:
    """Return text for a terminal that knows no more than ASCII."""
    return text.encode("ascii", "backslashreplace").decode("ascii")


def _spelt(character: str, keep: str) -> str:
    if character in keep:
        return character
    steers = character in _STEERING or character in _ISOLATES
    if not steers and unicodedata.category(character) not in _CATEGORIES:
        return character
    return character.encode("unicode_escape").decode("ascii")
