"""Finding the value an answer states as its answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, partial

from pytest_aprqa.judge.oracles.arithmetic.expression import Expression, read_expression
from pytest_aprqa.judge.oracles.arithmetic.lexer import Kind, Token

_VERBS = "is are be makes make gives yields totals returns becomes"
_SIGNS = "= ≈ : ? -> → =>"
_CUE_WORDS = """
answer result sum total product difference quotient value solution output
it that this which so therefore thus
"""
_CUE_VERBS = "get gets got gives obtain makes"
_FILLER_WORDS = """
exactly just simply therefore actually approximately about roughly around indeed then also of
the a number value answer result to up in but : " ' “ #
"""
_LEADS_TO_VALUE = frozenset([*_VERBS.split(), *_SIGNS.split()])
_GETS = frozenset(_CUE_VERBS.split())
_CUES = frozenset(_CUE_WORDS.split()) | _GETS
_FILLERS = frozenset(_FILLER_WORDS.split())
_GOES_ON = frozenset({"more", "less", "from", "and", "for", "of"})  # "get 2 more"
_DENIALS = frozenset({"not", "never"})
_WRONG = frozenset({"wrong", "incorrect", "false", "not"})


@dataclass(frozen=True, slots=True)
class Stated:
    """A value an answer states.

    Attributes:
        value: the value; None when the answer states two at once ("4 or 5").
        text: as written.
        decimals: digits after its point; None when it is not in digits.
    """

    value: Fraction | None
    text: str
    decimals: int | None = None


def find_stated(tokens: Sequence[Token], question: Expression) -> Stated | None:
    """Return the first value the answer states for the question.

    Looked for in this order of the text, whichever comes first: the question's own sum with what
    it makes ("2 + 2 = 4", "2+2 is 4"), a value at the very beginning ("4"), and a phrase that
    announces a value ("the answer is 4", "so we get 4"). When none of them occurs: another
    sum of the same value with what it makes (a last step of working), then the only number there
    is. Values the answer denies ("not 5", "5 is wrong") do not count.
    """
    answer = _Answer(tokens, question)
    return next(answer.statements(), None) or answer.last_step() or answer.only_number()


class _Answer:
    def __init__(self, tokens: Sequence[Token], question: Expression) -> None:
        self.tokens = tokens
        self.question = question
        self._read = cache(partial(read_expression, tokens))

    def statements(self) -> Iterator[Stated]:
        """Yield stated values in the order of the text."""
        if first := self._at_the_beginning():
            yield first
        position = 0
        while position < len(self.tokens):
            found = self._read(position)
            if found and found[0].operators:
                expression, after = found
                stated, position = self._what_it_makes(after)
                if stated and expression.same_sum_as(self.question):
                    yield stated
                continue
            if found:
                position = found[1]
                continue
            if self._text(position) in _CUES and (stated := self._announced(position)):
                yield stated
            position += 1

    def last_step(self) -> Stated | None:
        """Return what a sum of the question's value is said to make."""
        stated: Stated | None = None
        for position, after in self._numbers_and_sums():
            expression = self._expression(position)
            makes, _ = self._what_it_makes(after)
            if makes and expression.operators and expression.value == self.question.value:
                stated = makes
        return stated

    def only_number(self) -> Stated | None:
        """Return the one number that is in the answer apart from sums and the question's own."""
        numbers = [
            self._stated(self._expression(position), position, after)
            for position, after in self._numbers_and_sums()
            if not self._expression(position).operators and not self._denied(position, after)
        ]
        new = [n for n in numbers if n.value not in self.question.operands] or numbers
        return new[0] if len({n.value for n in new}) == 1 else None

    def _numbers_and_sums(self) -> Iterator[tuple[int, int]]:
        """Yield where numbers and sums begin and end; what a sum makes is passed over."""
        position = 0
        while position < len(self.tokens):
            if (found := self._read(position)) is None:
                position += 1
                continue
            expression, after = found
            yield position, after
            position = self._what_it_makes(after)[1] if expression.operators else after

    def _expression(self, position: int) -> Expression:
        found = self._read(position)
        assert found is not None
        return found[0]

    def _at_the_beginning(self) -> Stated | None:
        """Return a value the answer opens with, if nothing is computed with it."""
        start = 0
        while start < len(self.tokens) and (
            self.tokens[start].kind in (Kind.EQUALS, Kind.END, Kind.MARK)
        ):
            start += 1
        found = self._read(start)
        if found is None or (found[0].operators and not self._is_fraction(found[0])):
            return None
        expression, after = found
        if self._denied(start, after) or self._text(after) in ("=", "is", "and", ":"):
            return None
        in_words = self.tokens[after - 1].decimals is None
        operand = expression.value in self.question.operands
        if (in_words or operand) and self._text(after).isalpha():
            return None  # "One can see", "15 take away 7"
        return self._or_hedged(self._stated(expression, start, after), after)

    def _what_it_makes(self, after: int) -> tuple[Stated | None, int]:
        """Read "= 4" after a sum, through chains like "= 1 + 3 = 4"."""
        stated: Stated | None = None
        position = after
        while self._text(position) in _LEADS_TO_VALUE:
            found, end = self._value_after(position + 1)
            if found is None:
                return stated, max(end, position + 1)
            stated, position = found, end
            if self._text(position) not in ("=", "≈"):
                break
        return stated, position

    def _announced(self, cue: int) -> Stated | None:
        """Read "the answer to 2 + 2 is 4" from its cue word to its value."""
        if self._text(cue) in _GETS:
            stated, after = self._value_after(cue + 1)
            return None if self._text(after) in _GOES_ON else stated
        for position in range(cue + 1, min(cue + 14, len(self.tokens))):
            token = self.tokens[position]
            if token.kind is Kind.END:
                return None
            if token.text in ("is", "are", "be", "=", ":"):
                return self._value_after(position + 1)[0]
        return None

    def _value_after(self, start: int) -> tuple[Stated | None, int]:
        """Read a value, over words that may stand before it and over values it denies."""
        position = start
        denied = False
        while position < len(self.tokens):
            token = self.tokens[position]
            found = self._read(position)
            if found is not None:
                expression, after = found
                lone = not expression.operators or self._is_fraction(expression)
                if not lone and self._text(after) not in ("=", "≈", "is"):
                    return None, after
                if denied or self._is_wrong(after):
                    denied, position = False, after
                    continue
                if lone:
                    return self._or_hedged(self._stated(expression, position, after), after), after
                return self._what_it_makes(after)
            if token.text in _DENIALS:
                denied = True
            elif not (
                token.text in _FILLERS or token.kind is Kind.COMMA or token.text.startswith("\n")
            ):
                return None, position
            position += 1
        return None, position

    def _is_fraction(self, expression: Expression) -> bool:
        """Whether it is a value written as a fraction (3/2), and not the question again."""
        return expression.operators == ("/",) and not expression.same_sum_as(self.question)

    def _or_hedged(self, stated: Stated, after: int) -> Stated:
        """Give up the value of an answer that names an alternative ("4 or 5")."""
        found = self._read(after + 1) if self._text(after) == "or" else None
        if found and found[0].value != stated.value:
            other = self._stated(found[0], after + 1, found[1])
            return Stated(None, f"{stated.text} or {other.text}")
        return stated

    def _stated(self, expression: Expression, start: int, after: int) -> Stated:
        text = "".join(token.text for token in self.tokens[start:after])
        decimals = None if expression.operators else self.tokens[after - 1].decimals
        return Stated(expression.value, text, decimals)

    def _denied(self, start: int, after: int) -> bool:
        before = {self._text(start - 1), self._text(start - 2)} if start else set()
        return bool(before & (_DENIALS | {"instead", "than"})) or self._is_wrong(after)

    def _is_wrong(self, after: int) -> bool:
        return (
            self._text(after) in ("is", "was", "would", "are")
            and bool({self._text(after + 1), self._text(after + 2)} & _WRONG)
        )  # fmt: skip

    def _text(self, position: int) -> str:
        return self.tokens[position].text if 0 <= position < len(self.tokens) else ""
