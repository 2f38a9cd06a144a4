"""Make text of unknown origin safe to show: what would steer a terminal or a reader's eye is spelt out."""

from __future__ import annotations

import re

_UNSAFE = re.compile(
    r"[\x00-\x1f\x7f-\x9f"  # controls
    r"\u2028\u2029"  # line and paragraph separators
    r"\ud800-\udfff"  # lone surrogates
    r"\u200b\u200e\u200f\u061c\ufeff\u202a-\u202e\u2066-\u2069]"  # invisible or bidirectional
)


def visible(text: str, *, keep: str = "\n\t") -> str:
    """Return text with control, bidirectional and invisible characters as backslash escapes.

    Args:
        text: anything, for instance a model's answer.
        keep: characters left as they are.
    """
    return _UNSAFE.sub(lambda found: found[0] if found[0] in keep else _spelt(found[0]), text)


def one_line(text: str) -> str:
    """Return text on one line, line breaks and tabs as blanks, the rest made visible."""
    return visible(" ".join(text.split()), keep="")


def ascii_only(text: str) -> str:
    """Return text for a terminal that knows no more than ASCII."""
    return text.encode("ascii", "backslashreplace").decode("ascii")


def _spelt(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
