"""Damage to the encoding: bytes that are no text, or text decoded with the wrong table."""

from __future__ import annotations

import re
import unicodedata

_REPLACEMENT = "\ufffd"
_ALLOWED_CONTROLS = frozenset("\n\t\r\f")
_BYTE_TOKEN = re.compile(r"<0x[0-9A-Fa-f]{2}>")

# UTF-8 read as Latin-1 or Windows-1252: a lead byte (C3, C2, E2 ...) and its continuation bytes.
_MOJIBAKE = re.compile(
    r"[\u00c2\u00c3][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc"
    r"\u2013\u2014\u2018-\u201e\u2020-\u2022\u2026\u2030\u2039\u203a\u20ac\u2122]"
    r"|\u00e2[\u0080-\u009f\u20ac\u201a][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e"
    r"\u0192\u02c6\u02dc\u2013\u2014\u2018-\u201e\u2020-\u2022\u2026\u2030\u2039\u203a\u20ac\u2122]"
)
# Byte-level BPE writes byte b < 0x21 as U+0100+b (space is U+0120, newline U+010A) and puts the
# bytes 7F-A0 and AD at U+0121-U+0143. Seen in an answer, they are token texts that were never decoded.
# Maltese has both letters: there they begin a word, or stand among capitals.
_UNDECODED_SPACE = re.compile(
    r"(?:(?<=[a-z0-9.,;:!?)])|^)\u0120(?=[A-Za-z])"
    r"|(?<=[a-z0-9.,;:!?)])\u010a(?=\u010a|\u0120|\Z|[A-Z])"
)
_SPACE_OF_SENTENCEPIECE = re.compile(r"\u2581(?=[^\W\d_])")
_UNDECODED_BYTES = re.compile(r"[\u00c2-\u00f4][\u00a1-\u00bf\u0121-\u0143]{1,3}")


def find_damage(text: str, prompt: str = "", *, cut_off: bool = False) -> str | None:
    """Return what damage the text shows, or None.

    Args:
        text: the model's text.
        prompt: damage that is in the prompt already may be repeated by the answer.
        cut_off: the text ended at its token limit, perhaps in the middle of a character.
    """
    body = text.removesuffix(_REPLACEMENT) if cut_off else text
    while cut_off and body.endswith(_REPLACEMENT):
        body = body.removesuffix(_REPLACEMENT)
    if reason := _unprintable(body, frozenset(prompt)):
        return reason
    for find in (_replaced, _byte_tokens, _undecoded, _mojibake):
        if (reason := find(body)) and not find(prompt):
            return reason
    return None


def _replaced(text: str) -> str | None:
    count = text.count(_REPLACEMENT)
    return (
        f"{count} replacement characters (U+FFFD) at {text.index(_REPLACEMENT)}" if count else None
    )


def _unprintable(text: str, asked_for: frozenset[str]) -> str | None:
    for position, character in enumerate(text):
        if character in asked_for:
            continue
        category = unicodedata.category(character)
        if category == "Cc" and character not in _ALLOWED_CONTROLS:
            return f"control character U+{ord(character):04X} at {position}"
        if category == "Cs" or (category == "Cn" and not _is_recent(character)):
            return f"code point U+{ord(character):04X}, which is no character, at {position}"
    return None


def _is_recent(character: str) -> bool:
    """Whether the code point may have been assigned after Python's Unicode tables were made."""
    return ord(character) & 0xFFFE != 0xFFFE and not 0xFDD0 <= ord(character) <= 0xFDEF


def _byte_tokens(text: str) -> str | None:
    found = _BYTE_TOKEN.search(text)
    return f"undecoded byte token {found.group()} at {found.start()}" if found else None


def _undecoded(text: str) -> str | None:
    for undecoded, sign in ((_UNDECODED_SPACE, "U+0120"), (_SPACE_OF_SENTENCEPIECE, "U+2581")):
        if (count := len(undecoded.findall(text))) >= 2:
            return f"{count} token texts that were not decoded ({sign} for a space)"
    found = [m for m in _UNDECODED_BYTES.finditer(text) if _decodes(m.group())]
    return f"bytes shown as token texts: {found[0].group()!r}" if found else None


def _decodes(run: str) -> bool:
    """Whether the characters, taken back to the bytes byte-level BPE shows by them, are UTF-8."""
    if not any("\u0121" <= c <= "\u0143" for c in run):
        return False
    try:
        bytes(_byte_of(c) for c in run).decode()
    except UnicodeDecodeError:
        return False
    return True


def _byte_of(character: str) -> int:
    code = ord(character)
    if code < 0x100:
        return code
    if code < 0x121:
        return code - 0x100
    return code - 0x121 + 0x7F if code < 0x143 else 0xAD


def _mojibake(text: str) -> str | None:
    found = _MOJIBAKE.findall(text)
    if len(found) < 2:
        return None
    return f"UTF-8 read with another table, {len(found)} times, for instance {found[0]!r}"
