"""Numbers written as English words."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

_UNIT_WORDS = """
zero one two three four five six seven eight nine ten
eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen
"""
_TEN_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety"
_UNITS = {word: value for value, word in enumerate(_UNIT_WORDS.split())}
_TENS = {word: 10 * value for value, word in enumerate(_TEN_WORDS.split(), start=2)}
SCALES = {
    "hundred": 100,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
}
_PART_WORDS = "half third quarter fifth sixth seventh eighth ninth tenth"
_PARTS = {word: size for size, word in enumerate(_PART_WORDS.split(), start=2)} | {"halve": 2}
_POINT, _AND, _HYPHEN, _ARTICLES = "point", "and", "-", ("a", "an")


def read_number(words: Sequence[str]) -> tuple[Fraction, int] | None:
    """Read a number from the beginning of a list of words.

    Args:
        words: lower-case words and hyphens, for instance ["forty", "-", "two", "apples"].

    Returns:
        The value and how many words it took ((42, 3) there), or None when the list does not begin
        with a number.
    """
    if words[0:1] and words[0] in _ARTICLES and words[1:2] and words[1] in SCALES:
        words = ["one", *words[1:]]
    whole, taken = _whole(words)
    if taken == 0:
        return None
    if part := _part(words):
        return part
    if words[taken : taken + 1] == [_AND] and (part := _part(words[taken + 1 :])):
        return whole + part[0], taken + 1 + part[1]
    decimals = _decimals(words[taken:])
    if not decimals:
        return Fraction(whole), taken
    value = Fraction(whole) + Fraction(int(decimals), 10 ** len(decimals))
    return value, taken + 1 + len(decimals)


def _part(words: Sequence[str]) -> tuple[Fraction, int] | None:
    """Read "a half", "two thirds", "three-quarters"."""
    if not words:
        return None
    count = 1 if words[0] in _ARTICLES else _UNITS.get(words[0], 0)
    name = 2 if words[1:2] == [_HYPHEN] else 1
    size = _PARTS.get(words[name].removesuffix("s")) if name < len(words) else None
    return (Fraction(count, size), name + 1) if count and size else None


def _whole(words: Sequence[str]) -> tuple[int, int]:
    total = group = taken = 0
    room = SCALES["trillion"] * 1000  # what may still follow must be smaller than what stood before
    for position, word in enumerate(words):
        if word in SCALES and taken:
            scale = SCALES[word]
            if scale == SCALES["hundred"]:
                group *= scale
            else:
                total, group = total + group * scale, 0
            room = scale
        elif (value := _UNITS.get(word, _TENS.get(word))) is not None and value < room:
            group += value
            room = 10 if word in _TENS else 1
        elif not (taken and word in (_AND, _HYPHEN) and _continues(word, words, position, room)):
            break
        else:
            continue
        taken = position + 1
    return total + group, taken


def _continues(joint: str, words: Sequence[str], position: int, room: int) -> bool:
    """Whether "and" or a hyphen joins two parts of one number: "forty-two", not "two and two"."""
    if position + 1 >= len(words):
        return False
    after = words[position + 1]
    value = _UNITS.get(after, _TENS.get(after))
    least = SCALES["hundred"] if joint == _AND else 10
    return value is not None and value < room and (room >= least)


def _decimals(words: Sequence[str]) -> str:
    if not words or words[0] != _POINT:
        return ""
    digits = ""
    for word in words[1:]:
        if _UNITS.get(word, 10) > 9:
            break
        digits += str(_UNITS[word])
    return digits
