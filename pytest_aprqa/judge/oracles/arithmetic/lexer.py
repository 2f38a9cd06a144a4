"""Prompts and answers as tokens: numbers, operators, and the words that matter around them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from fractions import Fraction

from pytest_aprqa.judge.oracles.arithmetic.cues import BOX, ITEM
from pytest_aprqa.judge.oracles.arithmetic.number_words import SCALES, read_number


class Kind(Enum):
    """What a token is."""

    NUMBER = auto()
    OPERATOR = auto()
    OPEN = auto()
    CLOSE = auto()
    EQUALS = auto()
    WORD = auto()
    COMMA = auto()
    END = auto()  # of a sentence or line
    MARK = auto()  # any other character


@dataclass(frozen=True, slots=True)
class Token:
    """One token.

    Attributes:
        kind: what it is.
        text: lower-case; operators are one of + - * / ^ %.
        value: of a number.
        decimals: digits after the point of a number in digits; None for one in words.
    """

    kind: Kind
    text: str
    value: Fraction | None = None
    decimals: int | None = None


_FRACTION_SIGNS = {
    "½": "1/2",
    "⅓": "1/3",
    "⅔": "2/3",
    "¼": "1/4",
    "¾": "3/4",
    "⅕": "1/5",
    "⅛": "1/8",
}

# What people write for the signs, brought to one spelling before the text is cut into tokens.
_SPELLINGS: tuple[tuple[str, str], ...] = (
    (r"\\(?:times|cdot)\b", " * "),
    (r"\\div\b", " / "),
    (r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r" (\1)/(\2) "),
    (r"\\(?:text|mathrm|mathbf)\s*\{([^{}]*)\}", r" \1 "),
    (r"\\boxed\s*\{([^{}]*)\}", rf" {BOX} \1 "),
    (r"\^\s*\{([^{}]*)\}", r"^(\1)"),
    (r"\\\\", "\n"),
    (r"&(?=\s*=)", " "),
    *((sign, f" {written}") for sign, written in _FRACTION_SIGNS.items()),
    (r"\\[()\[\],;!]|\$", " "),
    (r"(?<=[\d)])[ \t]*\*\*[ \t]*(?=[\d(])", " ^ "),  # elsewhere ** is bold type
    (r"\*\*|__|`", " "),
    (r"(?<=[\d)])\s*[xX](?=\s*[\d(])", " * "),
    (r"²", "^2"),
    (r"³", "^3"),
    (r"[×✕✖·⋅∙]", "*"),
    (r"÷", "/"),
    (r"[-=]>|[⇒⟹]", "→"),
    (r"(?<=\d)\)[ ]?\((?=\d)", ") * ("),
    (r"−|(?<=\s)[–—](?=\s*\d)", "-"),
    (r"[‘’]", "'"),
    (r"(?<=\d)\s*(?:%|percent)\s+of\s+", " /100 * "),
    (r"(?i)\b(?:divided\s+by|over)\b", " / "),
    (r"(?i)\b(?:multiplied\s+by|times)\b", " * "),
    (r"(?i)\b(?:raised\s+)?to\s+the\s+power\s+(?:of\b)?", " ^ "),
    (r"(?i)\bplus\b", " + "),
    (r"(?i)\bminus\b|\bnegative\b(?=\s+\w)", " - "),
    (r"(?i)\bmod(?:ulo)?\b", " % "),
    (r"(?i)\b(?:is|are|be)\s+(?:exactly\s+)?equal\s+to\b|\bequals?(?:\s+to)?\b", " = "),
    (r"(?i)\b(\w+)n't\b", r"\1 not "),
    (r"(?i)\bcannot\b", "can not "),
    (r"(?i)\b(it|that|this|what|answer|result|sum|here)'s\b", r"\1 is "),
)
_SPELLINGS_COMPILED = tuple((re.compile(pattern), new) for pattern, new in _SPELLINGS)

_DATE = r"\d{2,4}(?P<sep>[-/.])\d{1,2}(?P=sep)\d{2,4}"
_MIXED = r"(?P<whole>\d+)[ ]+(?P<part>\d+/[1-9]\d*)"
_GROUPED = r"\d{1,3}(?:,\d{3})+|[1-9]\d{0,2}(?:[ \u00a0\u202f\u2009]\d{3})+(?![ ]?\d)"
_NUMERAL = rf"(?:(?:{_GROUPED}|(?!0\d)\d+)(?:\.\d+)?|\.\d+)(?:e[-+]?\d{{1,3}})?"
_TOKEN = re.compile(
    rf"""
    (?P<word>{_DATE}(?![\w])|\d+:\d+(?::\d+)*)
  | (?P<mixed>(?<![\w./]){_MIXED}(?![^\W_]|_|[.,:/]?\d))
  | (?P<number>(?<![\w.])(?:{_NUMERAL})(?![^\W_]|_|[.,:]?\d))
  | (?P<blob>(?=[\w.]*\d)[\w.]*\w)
  | (?P<name>[^\W\d_]+(?:'[a-z]+)?)
  | (?P<operator>[-+*/^%])
  | (?P<open>\()|(?P<close>\))
  | (?P<equals>==?|≈|≃|≅)
  | (?P<comma>,)
  | (?P<end>[.!?;]+|\n+)
  | (?P<mark>\S)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_LIST_MARKER = re.compile(r"(?m)^[ \t]*(\d+)[.)][ \t]+(?=\S)")
_BULLET = re.compile(r"(?m)^[ \t]*[-*+•][ \t]+(?=\S)")


def tokenize(text: str) -> list[Token]:
    """Cut a text into tokens. Numbers glued to letters ("23724ms", "v2", "GPT4") are words."""
    text = _with_list_marks(text)
    for pattern, new in _SPELLINGS_COMPILED:
        text = pattern.sub(new, text)
    return _join_number_words([_token(match) for match in _TOKEN.finditer(text)])


def _with_list_marks(text: str) -> str:
    """Make one mark of bullets and of 1. 2. 3. before lines; a lone "4." is an answer."""
    markers = [int(match.group(1)) for match in _LIST_MARKER.finditer(text)]
    if len(markers) > 1 and markers == list(range(1, len(markers) + 1)):
        text = _LIST_MARKER.sub(f"{ITEM} ", text)
    return _BULLET.sub(f"{ITEM} ", text)


def _token(match: re.Match[str]) -> Token:
    group, text = match.lastgroup or "mark", match.group().lower()
    if group == "sep":
        group = "word"
    if group in ("mixed", "part"):
        value = Fraction(match["whole"]) + Fraction(match["part"])
        return Token(Kind.NUMBER, text, value)
    if group == "number":
        digits = re.sub(r"[, \u00a0\u202f\u2009]", "", text)
        return Token(Kind.NUMBER, text, Fraction(digits), _decimals(digits))
    kind = {"name": Kind.WORD, "blob": Kind.WORD}.get(group) or Kind[group.upper()]
    return Token(kind, text)


def _decimals(digits: str) -> int:
    mantissa, _, exponent = digits.partition("e")
    return max(0, len(mantissa.partition(".")[2]) - int(exponent or 0))


def _join_number_words(tokens: list[Token]) -> list[Token]:
    """Make one number of "forty-two", and of "2.5 million"."""
    joined: list[Token] = []
    position = 0
    while position < len(tokens):
        words = [token.text for token in tokens[position : position + 24]]
        value, taken = _number(tokens[position], words)
        if value is None:
            joined.append(tokens[position])
        else:
            joined.append(Token(Kind.NUMBER, " ".join(words[:taken]), value))
        position += taken
    return joined


def _number(token: Token, words: list[str]) -> tuple[Fraction | None, int]:
    if token.value is not None and words[1:2] and words[1] in SCALES:
        return token.value * SCALES[words[1]], 2
    return (token.kind is Kind.WORD and read_number(words)) or (None, 1)
