"""Special tokens in the text: the end of a turn that did not end it, a template shown to the user."""

from __future__ import annotations

import re
from collections.abc import Collection

# Markers of the chat templates and tokenizers in use, for when the tokenizer's own list is not at
# hand. Those that also occur in HTML or prose (<s>, [CLS]) need company to count.
_MARKERS = re.compile(
    r"<\|[A-Za-z][\w./ -]{1,40}\|>"
    r"|<｜[^｜<>\n]{1,40}｜>"
    r"|<(?:start_of_turn|end_of_turn|bos|eos|pad|unk|mask|reserved_\d+|extra_id_\d+|unused\d+)>"
    r"|\[/?(?:INST|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|SYSTEM_PROMPT)\]"
    r"|<</?SYS>>"
    r"|<fim_(?:prefix|middle|suffix|pad)>"
    r"|\[unused\d+\]"
)
_WEAK_MARKERS = re.compile(r"</?s>|\[(?:PAD|UNK|CLS|SEP|MASK|BOS|EOS)\]")
_WEAK_COUNT = 2
_ABOUT_TOKENS = re.compile(r"\b(?:tokens?|tokenizers?|tags?)\b", re.IGNORECASE)
# What is left of a template's turn markers when the engine keeps special tokens out of the text.
_ASKING, _ANSWERING = frozenset({"user", "human"}), frozenset({"assistant", "model"})
_LONGEST_TURN = 20
"""Lines with words that a question between two turn markers may have."""
_QUOTES = "`\"'“‘«「"


def find_leak(text: str, prompt: str = "", special_tokens: Collection[str] = ()) -> str | None:
    """Return which special token the text shows, or None.

    A marker in quotation marks or code type is talked about, not leaked; one from the prompt may
    be repeated by the answer.
    """
    for token in special_tokens:
        if token.strip() and token not in prompt and _unquoted(text, re.escape(token)):
            return f"the special token {token!r} is in the text"
    for match in _MARKERS.finditer(text):
        if not _is_echo(match.group(), prompt) and not _is_quoted(text, match.start()):
            return f"the marker {match.group()!r} is in the text"
    if (turns := _turns(text)) and not _turns(prompt):
        return f"turns of a conversation are in the text: {turns}"
    weak = [m for m in _WEAK_MARKERS.finditer(text) if m.group() not in prompt]
    weak = [m for m in weak if not _is_quoted(text, m.start())]
    closing = len(weak) == 1 and weak[0].group() == "</s>" and "<s>" not in text
    if closing or (len(weak) >= _WEAK_COUNT and not _is_markup(text) and not _is_talk(text, weak)):
        return f"the marker {weak[0].group()!r} is in the text, {len(weak)} times"
    return None


def _turns(text: str) -> str:
    """Return the lines that begin a question and its answer as turns of a conversation, or ""."""
    asking, lines = "", 0
    for line in text.splitlines():
        marker = line.rstrip(" \t")
        if marker in _ASKING:
            asking, lines = marker, 0
        elif asking and lines and marker in _ANSWERING:
            return f"{asking!r}, then {marker!r}"
        elif marker.strip():
            lines += 1
            if lines > _LONGEST_TURN:
                asking = ""
    return ""


def _is_echo(marker: str, prompt: str) -> bool:
    """Whether the prompt has the marker, be it in other brackets: small models misquote."""
    return _letters(marker) in _letters(prompt)


def _letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text.lower())


def _unquoted(text: str, pattern: str) -> bool:
    return any(not _is_quoted(text, match.start()) for match in re.finditer(pattern, text))


def _is_quoted(text: str, start: int) -> bool:
    return start > 0 and text[start - 1] in _QUOTES


def _is_markup(text: str) -> bool:
    """Whether <s> stands among balanced tags, as in HTML."""
    return text.count("<s>") == text.count("</s>") > 0


def _is_talk(text: str, markers: list[re.Match[str]]) -> bool:
    """Whether the markers are what the text is about: different ones, in words about tokens."""
    different = len({marker.group() for marker in markers}) == len(markers)
    return different and _ABOUT_TOKENS.search(text) is not None
