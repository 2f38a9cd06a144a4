"""Repetition: a text that goes round in a loop, or has almost nothing in it."""

from __future__ import annotations

import json
import re
import string
import zlib
from collections import Counter

LONGEST_UNIT = 160  # characters of a loop that are recognised
_LOOP = re.compile(rf"(.{{1,{LONGEST_UNIT}}}?)\1{{3,}}", re.DOTALL)
_WORD = re.compile(r"\w+")
_EMPTY_LINES = re.compile(r"(?:\n[ \t]*+){10,}")  # no text has nine empty lines together

# A loop is garbage when it is most of the text, or long in itself.
LOOP_SHARE = 0.5
LOOP_REPEATS = 4
LOOP_CHARACTERS = 14
SPACED_LOOP_CHARACTERS = 10
SIGN_LOOP_CHARACTERS = 24  # of a loop without letters that is no rule and no figure
LONG_LOOP_REPEATS = 8
LONG_LOOP_CHARACTERS = 60
# Greedy decoding of a sound small model goes round in whole clauses, too; those are garbage when
# they go round longer, or are all there is.
CLAUSE_WORDS = 4
ONLY_CLAUSE_REPEATS = 5
ONLY_CLAUSE_SHARE = 0.8
# Figures and rules repeat in sound text ("0.3333333333", "-----"); these must fill it.
PLAIN_SHARE = 0.9
PLAIN_CHARACTERS = 40

FEW_CHARACTERS = 3  # different ones in a text of at least
FEW_CHARACTERS_LENGTH = 16
FEW_WORDS_LENGTH = 20  # words of a text whose variety means something
FEW_WORDS_SHARE = 0.5  # of one word
FEW_WORDS_VARIETY = 0.15  # different words to words

# "is is is is", "that that that": a word said again at once, but for interjections.
_STUTTER = re.compile(r"\b([^\W\d_]+)(?=\s+\1\b)", re.IGNORECASE)
STUTTERS = 5
STUTTER_SHARE = 0.15  # of the words

BLANK_CHARACTERS = 24  # of white space, where
BLANK_INK = 0.1  # or less of the text is anything else
SIGNS_CHARACTERS = 24  # of punctuation that is no rule, where it is
SIGNS_SHARE = 0.85  # or more of the text
_FIGURES = frozenset("0123456789.,")
_RULES = "=-~_*+#^|:./"
_SIGNS = frozenset(string.punctuation) - frozenset(_RULES)

_PADDING = re.compile(r" {2,}")  # of tables and code; it says nothing
COMPRESSED_LENGTH = 400  # bytes of a text whose compression means something
COMPRESSED_RATIO = 0.13

# "Ha ha ha ha!", "Yes, yes, yes, yes, yes!": said up to twelve times in a row, and no more after.
_INTERJECTIONS = re.compile(
    r"\b(ha|he|ho|hi|la|na|oh|ah|no|yes|yeah|wow|bla|blah|bye)"
    r"(?:[ ,!.-]*\1){1,11}(?![ ,!.-]*\1|[A-Za-z])",
    re.IGNORECASE,
)


def find_repetition(text: str, prompt: str = "") -> str | None:
    """Return how the text repeats itself, or None. What stands in the prompt is excused."""
    stripped = text.strip()
    if stripped in prompt or _is_json(stripped):
        return None
    return (
        _loop(_INTERJECTIONS.sub(r"\1 \1", stripped), prompt)
        or _few_characters(stripped)
        or _almost_blank(text)
        or _only_signs(stripped)
        or _few_words(stripped)
        or _stutters(stripped)
        or _compresses(stripped)
    )


def _is_json(text: str) -> bool:
    """Whether the text is an array or object, perhaps cut off: records may be alike."""
    if not text.startswith(("[", "{")):
        return False
    for content in (text, f"{text[: text.rfind('}') + 1]}]"):
        try:
            json.loads(content)
        except (ValueError, RecursionError):
            continue
        return True
    return False


def _loop(text: str, prompt: str) -> str | None:
    for match in _LOOP.finditer(text):
        unit, run = match.group(1), match.group()
        if run in prompt or not unit.strip():
            continue
        if text[match.end() :] == unit.rstrip():
            run += unit  # the last time round, without the white space after it
        repeats, size = len(run) // len(unit), len("".join(run.split()))
        share = size / len("".join(text.split()))
        if _is_plain(unit):
            garbage = share >= PLAIN_SHARE and size >= PLAIN_CHARACTERS
        elif share >= LOOP_SHARE and len(unit.split()) < CLAUSE_WORDS:
            garbage = repeats >= LOOP_REPEATS and size >= _least_size(unit)
        else:
            least = ONLY_CLAUSE_REPEATS if share >= ONLY_CLAUSE_SHARE else LONG_LOOP_REPEATS
            garbage = repeats >= least and size >= LONG_LOOP_CHARACTERS
        if garbage:
            return f"{_short(unit)} is repeated {repeats} times"
    return None


def _least_size(unit: str) -> int:
    """Return how long a loop must be: "hahahahaha" is a laugh, "ak ak ak ak ak ak" is none."""
    if not any(map(str.isalpha, unit)):
        return SIGN_LOOP_CHARACTERS
    return SPACED_LOOP_CHARACTERS if any(map(str.isspace, unit)) else LOOP_CHARACTERS


def _is_plain(unit: str) -> bool:
    """Whether a unit is of figures or a rule."""
    return set("".join(unit.split())) <= _FIGURES | frozenset(_RULES)


def _few_characters(text: str) -> str | None:
    characters = "".join(text.split())
    distinct = set(characters)
    if len(characters) < FEW_CHARACTERS_LENGTH or len(distinct) > FEW_CHARACTERS:
        return None
    if distinct <= _FIGURES or distinct <= set(_RULES):
        return None  # binary and other figures; rules, Morse code
    return f"{len(characters)} characters, only {len(distinct)} different ones"


def _almost_blank(text: str) -> str | None:
    if lines := _EMPTY_LINES.search(text):
        count = lines.group().count("\n") - 1
        return f"{count} empty lines in a row"
    ink = sum(not character.isspace() for character in text)
    blank = len(text) - ink
    if blank < BLANK_CHARACTERS or ink / len(text) > BLANK_INK:
        return None
    return f"{blank} white-space characters around {ink} other ones"


def _only_signs(text: str) -> str | None:
    characters = "".join(text.split())
    signs = sum(character in _SIGNS for character in characters)
    if signs < SIGNS_CHARACTERS or signs / len(characters) < SIGNS_SHARE:
        return None
    return f"{signs} of {len(characters)} characters are punctuation"


def _is_table(text: str) -> bool:
    """Whether most lines are rows, whose cells may be alike."""
    lines = text.splitlines()
    return len(lines) >= 3 and sum(line.startswith("|") for line in lines) > len(lines) / 2


def _few_words(text: str) -> str | None:
    words = [word for word in _WORD.findall(text.casefold()) if len(word) > 1]  # notes, figures
    if len(words) < FEW_WORDS_LENGTH or _is_table(text):
        return None
    word, count = Counter(words).most_common(1)[0]
    if count / len(words) >= FEW_WORDS_SHARE:
        return f"{word!r} is {count} of {len(words)} words"
    if len(set(words)) / len(words) < FEW_WORDS_VARIETY:
        return f"{len(words)} words, only {len(set(words))} different ones"
    return None


def _stutters(text: str) -> str | None:
    words = len(text.split())
    again = _STUTTER.findall(_INTERJECTIONS.sub(r"\1", text))
    if len(again) < STUTTERS or len(again) / words < STUTTER_SHARE:
        return None
    return f"{again[0]!r} and other words are said again at once, {len(again)} of {words} times"


def _compresses(text: str) -> str | None:
    data = _PADDING.sub(" ", text).encode(errors="replace")
    if len(data) < COMPRESSED_LENGTH:
        return None
    ratio = len(zlib.compress(data, 9)) / len(data)
    return f"it compresses to {ratio:.0%}" if ratio < COMPRESSED_RATIO else None


def _short(text: str, most: int = 40) -> str:
    return repr(text if len(text) <= most else text[:most] + "…")
