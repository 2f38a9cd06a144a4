"""Reading the values in an answer: what a sum is said to make, what stands after a cue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, partial

from pytest_aprqa.judge.oracles.arithmetic import cues
from pytest_aprqa.judge.oracles.arithmetic.expression import Expression, read_expression
from pytest_aprqa.judge.oracles.arithmetic.lexer import Kind, Token

FARTHEST = 14  # tokens between a cue and its value


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


class Reader:
    """The tokens of an answer to a question, with the sums and values in them."""

    def __init__(self, tokens: Sequence[Token], question: Expression) -> None:
        self.tokens = tokens
        self.question = question
        self.read = cache(partial(read_expression, tokens))

    def text(self, position: int) -> str:
        """Return the text of a token, an empty one outside of the answer."""
        return self.tokens[position].text if 0 <= position < len(self.tokens) else ""

    def kind(self, position: int) -> Kind | None:
        """Return the kind of a token, None outside of the answer."""
        return self.tokens[position].kind if 0 <= position < len(self.tokens) else None

    def sums(self) -> Iterator[tuple[int, Expression, int]]:
        """Yield sums and lone numbers with where they begin and end."""
        position = 0
        while position < len(self.tokens):
            if (found := self.read(position)) is None:
                position += 1
                continue
            yield position, *found
            position = found[1]

    def what_it_makes(self, after: int) -> tuple[Stated | None, int]:
        """Read "= 4" after a sum, through chains like "= 1 + 3 = 4"; and where that ends.

        After "=" a sum may follow that makes something else; after a colon or a question mark only
        a value that stands for itself: "17*23: 17*20 = 340" begins the working.
        """
        stated: Stated | None = None
        position = self._continued(after)
        while (sign := self.text(position)) in cues.LEADS_TO_VALUE:
            chained = sign in cues.CHAINS
            found, end = self.value_after(position + 1, any_sum=chained)
            if found is None or (sign in cues.PAUSES and not self.ends(end)):
                return stated, max(end, position + 1)
            stated, position = found, self._continued(end)
            if self.text(position) not in cues.CHAINS:
                break
        return stated, position

    def value_after(
        self, start: int, *, any_sum: bool = False, denied: bool = False
    ) -> tuple[Stated | None, int]:
        """Read a value, over words that may stand before it and over values that are denied.

        Args:
            start: where to begin.
            any_sum: read what any sum makes; otherwise only that of one with the right value,
                for another is a step of the working.
            denied: whether the first value was denied before `start`.
        """
        position, limit = start, start + FARTHEST
        while position < min(limit, len(self.tokens)):
            if (found := self.read(position)) is None:
                if self.text(position) in cues.DENIALS:
                    denied = True
                elif not self._may_precede_value(position):
                    return None, position
                position += 1
                continue
            expression, after = found
            if not self.is_value(expression, after):
                sign = self._continued(after)
                of_interest = any_sum or expression.value == self.question.value
                if not of_interest or self.text(sign) not in cues.LEADS_TO_VALUE - cues.PAUSES:
                    return None, after
                any_sum = self.text(sign) in cues.CHAINS
                position, limit = sign + 1, sign + FARTHEST
            elif denied or self.is_wrong(after):
                denied, position, limit = False, after, after + FARTHEST
            else:
                counts = self.text(after) in cues.UNITS
                return None if counts else self.hedged(position, expression, after), after
        return None, position

    def is_value(self, expression: Expression, after: int) -> bool:
        """Whether it is a value and no sum to compute: 4, 3/2, 10^12, 6*10^23.

        The question's own sum is a value only when it is a fraction that cannot be reduced.
        """
        if not expression.operators:
            return True
        if self.text(after) in cues.CHAINS:
            return False
        first, *rest = expression.operands
        if expression.operators == ("/",):
            return not expression.same_sum_as(self.question) or (
                0 < first < rest[0] == (expression.value or Fraction()).denominator
            )
        power_of_ten = (first if len(rest) == 1 else rest[0]) == 10
        forms = (("^",), ("*", "^"))
        return power_of_ten and expression.operators in forms and expression != self.question

    def _stated(self, expression: Expression, start: int, after: int) -> Stated:
        text = "".join(token.text for token in self.tokens[start:after])
        decimals = None if expression.operators else self.tokens[after - 1].decimals
        return Stated(expression.value, text, decimals)

    def ends(self, after: int) -> bool:
        """Whether a value ends there, and does not count what follows: "4 cats", "4%", "4 5 6"."""
        kind, text = self.kind(after), self.text(after)
        if text in cues.UNITS or text in {"/", "_"} | cues.CHAINS:
            return False
        if text in (",", ";", "|"):
            return self.kind(after + 1) is not Kind.NUMBER
        if text == "*":
            return self.kind(after + 1) is not Kind.WORD  # "4 times more"
        if text in ("is", "was", "are"):
            following = {self.text(after + 1), self.text(after + 2)}
            return bool(following & cues.NAMES_ANSWER)
        return kind is not Kind.NUMBER and (kind is not Kind.WORD or text in cues.AFTER_VALUE)

    def is_denied(self, start: int, after: int) -> bool:
        """Whether the value there is said not to be the answer."""
        before = {self.text(start - 1), self.text(start - 2)} if start else set()
        return bool(before & (cues.DENIALS | {"instead", "than"})) or self.is_wrong(after)

    def is_wrong(self, after: int) -> bool:
        """Whether "is wrong" stands there."""
        if self.text(after) not in ("is", "was", "would", "are", "can", "ca"):
            return False
        return bool({self.text(after + 1), self.text(after + 2)} & cues.WRONG)

    def hedged(self, start: int, expression: Expression, after: int) -> Stated:
        """Return the value there; none when an alternative is named ("4, I think, or maybe 5")."""
        stated = self._stated(expression, start, after)
        for position in range(after, after + FARTHEST):
            if self.kind(position) in (Kind.END, None):
                break
            if self.text(position) != "or":
                continue
            other = position + 1
            while self.text(other) in cues.HEDGES:
                other += 1
            found = self.read(other) if self.kind(other) else None
            differs = found and found[0].value != stated.value
            if found and differs and self.text(found[1]) != "in":  # "4 or 100 in binary"
                alternative = self._stated(found[0], other, found[1]).text
                return Stated(None, f"{stated.text} or {alternative}")
        return stated

    def _continued(self, after: int) -> int:
        """Step over a line break before a line that goes on with "="."""
        broken = self.text(after).startswith("\n") and self.text(after + 1) in cues.CHAINS
        return after + 1 if broken else after

    def _may_precede_value(self, position: int) -> bool:
        text = self.text(position)
        return (
            text in cues.FILLERS
            or self.kind(position) is Kind.COMMA
            or text.startswith("\n")
        )  # fmt: skip
