"""What the salad classifier sees of a text: short runs of characters, words, and mixed scripts."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

BUCKETS = 1 << 17
_GRAM_LENGTHS = (2, 3, 4)
_LONGEST_RUN = 3  # of one character that says something
_LONGEST_WORD = 14  # letters of a word that may be known as a whole

_CAPITALS = re.compile(r"(?<![A-Za-z])[A-Z]{2,}(?![A-Za-z])")
_WORD = re.compile(r"[A-Za-z]+")
_SCRIPT_SIGNS = {
    "GREEK": "λ",
    "CYRILLIC": "я",
    "HEBREW": "ש",
    "ARABIC": "ع",
    "DEVANAGARI": "अ",
    "THAI": "ก",
    "GEORGIAN": "ა",
    "ARMENIAN": "ա",
    "CJK": "字",
    "HIRAGANA": "字",
    "KATAKANA": "字",
    "KATAKANA-HIRAGANA": "字",
    "BOPOMOFO": "字",
    "HANGUL": "字",
}
_OTHER_SCRIPT, _OTHER_LATIN, _SYMBOL, _PUNCTUATION = "ѫ", "ø", "☺", "”"
_FOREIGN = frozenset(_SCRIPT_SIGNS.values()) | {_OTHER_SCRIPT}


def grams(text: str) -> list[int]:
    """Return the buckets, 0 to BUCKETS - 1, of everything the classifier sees in a text.

    They are: all runs of 2, 3 and 4 characters of the simplified text, its words and pairs of
    words, each joint of two scripts within a word, and once for every four other ones how many
    scripts there are.
    """
    simple = simplify(text)
    names = [*_runs(simple), *_words(simple), *_joints(simple)]
    scripts = len({sign for sign in simple if sign in _FOREIGN})
    names += [f"\0scripts {min(scripts, 5)}"] * (len(names) // 40)
    return [zlib.crc32(name.encode()) % BUCKETS for name in names]


def _runs(simple: str) -> Iterator[str]:
    for length in _GRAM_LENGTHS:
        for start in range(len(simple) - length + 1):
            yield simple[start : start + length]


def _words(simple: str) -> Iterator[str]:
    before, end = "", -1
    for match in _WORD.finditer(simple):
        word = match.group().lower()[:_LONGEST_WORD]
        yield f"\0word {word}"
        if match.start() == end + 1:
            yield f"\0pair {before} {word}"
        before, end = word, match.end()


def _joints(simple: str) -> Iterator[str]:
    for left, right in pairwise(simple):
        if left == right or not (left.isalpha() and right.isalpha()):
            continue
        foreign = (left in _FOREIGN) + (right in _FOREIGN)
        if foreign == 2:
            yield "\0two scripts"
        elif foreign == 1:
            yield "\0with ideographs" if "字" in (left, right) else "\0with another alphabet"


def simplify(text: str) -> str:
    """Reduce a text to what the classifier tells apart.

    Latin letters lose their accents and words in capitals become small, figures become 0, the
    letters of any other script become one sign, emoji and symbols one, and runs are cut at three,
    so that no language and no alphabet has to be learned letter by letter.
    """
    simple: list[str] = []
    run = 0
    for character in text:
        sign = _sign(character)
        if not sign:
            continue
        run = run + 1 if simple and simple[-1] == sign else 1
        if run <= (1 if sign in " \n" else _LONGEST_RUN):
            simple.append(sign)
    return _CAPITALS.sub(lambda match: match.group().lower(), "".join(simple).strip())


@lru_cache(maxsize=8192)
def _sign(character: str) -> str:
    """Return the sign of a character; "" for marks and what is invisible."""
    if character.isspace():
        return "\n" if character in "\n\r" else " "
    category = unicodedata.category(character)
    if category[0] == "N":
        return "0"
    if character.isascii():
        return character
    if category[0] in "MC":
        return ""
    if category[0] == "L":
        return _letter(character)
    return _PUNCTUATION if category[0] == "P" else _SYMBOL


def _letter(character: str) -> str:
    base = unicodedata.normalize("NFKD", character)[0]
    if base.isascii():
        return base if base.isalpha() else _SYMBOL
    script = unicodedata.name(character, "").partition(" ")[0]
    return _OTHER_LATIN if script == "LATIN" else _SCRIPT_SIGNS.get(script, _OTHER_SCRIPT)
