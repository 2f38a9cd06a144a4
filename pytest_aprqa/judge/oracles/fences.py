"""Fenced blocks of Markdown."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FENCE = re.compile(
    r"^[ \t]*(?P<mark>```+|~~~+)[ \t]*(?P<language>[\w+#.-]*)[^\n]*\n(?P<body>.*?)"
    r"(?:^[ \t]*(?P=mark)[ \t]*$|\Z)",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block.

    Attributes:
        language: the info string's first word, lower-case; "" without one.
        body: the text between the fences.
        closed: whether the closing fence was reached.
    """

    language: str
    body: str
    closed: bool


def fenced_blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a text in order; the last may be unclosed."""
    return [
        Block(
            match["language"].lower(),
            match["body"],
            closed=match.group().rstrip().endswith(match["mark"])
            and match.end() > match.end("body"),
        )
        for match in _FENCE.finditer(text)
    ]
