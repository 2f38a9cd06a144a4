"""Finding the one sum a prompt asks for."""

from __future__ import annotations

import re

from pytest_aprqa.judge.oracles.arithmetic.expression import Expression, read_expression
from pytest_aprqa.judge.oracles.arithmetic.lexer import Kind, Token, tokenize

_N = r"([-−]?\d+(?:,\d{3})*(?:\.\d+)?|[a-z]+(?:-[a-z]+)?)"
_REQUESTS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), new)
    for pattern, new in (
        (rf"\bsum of {_N} and {_N}", r"\1 + \2"),
        (rf"\bproduct of {_N} and {_N}", r"\1 * \2"),
        (rf"\bdifference (?:between|of) {_N} and {_N}", r"\1 - \2"),
        (rf"\bquotient of {_N} and {_N}", r"\1 / \2"),
        (rf"\badd {_N} (?:and|to) {_N}", r"Calculate \1 + \2"),
        (rf"\bsubtract {_N} from {_N}", r"Calculate \2 - \1"),
        (rf"\bmultiply {_N} (?:by|and|with) {_N}", r"Calculate \1 * \2"),
        (rf"\bdivide {_N} by {_N}", r"Calculate \1 / \2"),
    )
)
# A sum in a prompt is the question when it stands alone, or one of these comes right before it.
_ASKING_WORDS = """
what whats is are does much of the value result answer sum problem expression question q
calculate compute evaluate solve simplify find please to me now then and equals
"""
_ASKING = frozenset(_ASKING_WORDS.split())


def read_question(prompt: str) -> Expression | None:
    """Return the sum a prompt asks for.

    Sums that the prompt answers itself (examples before the question) are passed over. A prompt
    with several open sums, or one where figures and signs only look like a sum (a date, a range,
    "GPT-4"), asks for none.
    """
    for pattern, new in _REQUESTS:
        prompt = pattern.sub(new, prompt)
    tokens = tokenize(prompt)
    asked: list[Expression] = []
    position = 0
    while position < len(tokens):
        found = read_expression(tokens, position)
        if found is None:
            position += 1
            continue
        expression, after = found
        if expression.operators and _is_asked(tokens, position, after):
            asked.append(expression)
        position = after
    if not asked or any(not one.same_sum_as(asked[0]) for one in asked):
        return None
    return asked[0]


def _is_asked(tokens: list[Token], start: int, after: int) -> bool:
    return _asks_before(tokens, start) and _asks_after(tokens, after)


def _asks_before(tokens: list[Token], start: int) -> bool:
    if start == 0:
        return True
    before = tokens[start - 1]
    if before.kind is Kind.WORD:
        return before.text in _ASKING
    return before.kind in (Kind.END, Kind.COMMA) or before.text in (":", '"', "'", "“", ">")


def _asks_after(tokens: list[Token], after: int) -> bool:
    if after == len(tokens):
        return True
    token = tokens[after]
    if token.kind is Kind.EQUALS or token.text == "is":
        return after + 1 == len(tokens) or tokens[after + 1].kind is not Kind.NUMBER
    return token.kind in (Kind.END, Kind.COMMA) or token.text in (":", "→", '"', "'", "”", "and")
