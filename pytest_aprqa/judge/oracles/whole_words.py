"""Does a text hold a word, as a whole?"""

from __future__ import annotations

import unicodedata

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
"""Scripts that put no space between words, or none before what is attached to them."""

_LETTER = rf"[[\p{{L}}\p{{N}}\p{{M}}]--[{_UNSPACED}]]"
"""What a word of any other script goes on with; an underscore is a mark of emphasis."""

_BEFORE_DIGIT = (
    r"(?<!\d[.]|(?:^|[\s(])[.])"  # the decimals of 3.10 and of .10
    r"(?<!\d ?[/⁄] ?)"  # 1/10
    r"(?<!(?:^|[^\p{L}\p{N}\p{M})\]])[-−])"  # a sign, which the hyphen of "top-10" is not
)
_BEFORE_THOUSANDS = r"(?<!\d,)"
_AFTER_DIGIT = (
    r"(?![.]\d*[1-9])"  # 10.5, but 10.0 is 10
    r"(?!,\d{3}(?!\d))"  # 10,000
    r"(?! ?[/⁄] ?\d)"
)


def holds_word(text: str, word: str) -> bool:
    """Return whether a word, or several in a row, stands in a text and goes on at neither end.

    A number goes on where another value is meant: 10 does not stand in 10.5, -10, 10,000 or 1/10.
    Words of scripts without spaces, such as Chinese, are found within longer ones.
    """
    import regex

    pattern = f"(?V1){_before(word)}{regex.escape(word, literal_spaces=True)}{_after(word)}"
    return regex.search(pattern, text) is not None


def folded(text: str, *, case_sensitive: bool) -> str:
    """Return a text in the one form in which texts that look the same are the same."""
    composed = unicodedata.normalize("NFC", text)
    return composed if case_sensitive else unicodedata.normalize("NFC", composed.casefold())


def _before(word: str) -> str:
    import regex

    parts = [rf"(?<!{_LETTER})"] if regex.match(rf"(?V1){_LETTER}|[-−+]\d", word) else []
    if regex.match(r"\d", word):
        parts.append(_BEFORE_DIGIT)
    if regex.match(r"\d{3}(?!\d)", word):
        parts.append(_BEFORE_THOUSANDS)
    return "".join(parts)


def _after(word: str) -> str:
    import regex

    parts = [rf"(?!{_LETTER})"] if regex.search(rf"(?V1){_LETTER}\Z", word) else []
    if regex.search(r"\d\Z", word):
        parts.append(_AFTER_DIGIT)
    return "".join(parts)
