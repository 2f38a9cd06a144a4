"""Sums: reading them from tokens, and their exact value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from pytest_aprqa.judge.oracles.arithmetic.lexer import Kind, Token

_Read = Callable[[], Fraction | None]

DEEPEST = 12  # nested brackets and signs
MOST_DIGITS = 200  # of a power; beyond it the sum is not a question for a language model


@dataclass(frozen=True, slots=True)
class Expression:
    """A sum with its exact value.

    Attributes:
        value: the value; None when it has none (a division by zero) or one too
            large to ask for.
        operands: the numbers in it, as written, in order.
        operators: its signs in order, a leading minus left out.
    """

    value: Fraction | None
    operands: tuple[Fraction, ...]
    operators: tuple[str, ...]

    def same_sum_as(self, other: Expression) -> bool:
        """Whether the two are one sum, the order of operands left aside (2+3 and 3+2)."""
        return (
            self.value == other.value
            and sorted(self.operands) == sorted(other.operands)
            and sorted(self.operators) == sorted(other.operators)
        )


def read_expression(tokens: Sequence[Token], start: int) -> tuple[Expression, int] | None:
    """Read the longest sum that begins at `start`.

    Precedence is that of written arithmetic: brackets, powers (right to left), * / and
    remainder, + -.

    Returns:
        The sum, which may be a lone number, and the position after it; None when no sum begins
        there.
    """
    reader = _Reader(tokens, start)
    try:
        value = reader.sum()
    except _NotASum:
        return None
    operators = tuple(reader.operators)
    return Expression(value, tuple(reader.operands), operators), reader.position


class _NotASum(Exception):  # noqa: N818 - control flow of the reader, never seen outside
    pass


class _Reader:
    """Recursive descent; goes back to the last complete sum when the rest does not fit."""

    def __init__(self, tokens: Sequence[Token], start: int) -> None:
        self.tokens = tokens
        self.position = start
        self.operands: list[Fraction] = []
        self.operators: list[str] = []
        self.depth = 0

    def sum(self) -> Fraction | None:
        value = self._product()
        while True:
            try:
                sign, right = self._operand("+-", self._product)
            except _NotASum:
                return value
            value = _apply(sign, value, right)

    def _product(self) -> Fraction | None:
        value = self._signed()
        while True:
            try:
                sign, right = self._operand("*/%", self._signed)
            except _NotASum:
                return value
            value = _apply(sign, value, right)

    def _signed(self) -> Fraction | None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise _NotASum
        try:
            return self._unary()
        finally:
            self.depth -= 1

    def _unary(self) -> Fraction | None:
        if self._at(Kind.OPERATOR) in ("-", "+"):
            negative = self.tokens[self.position].text == "-"
            self.position += 1
            value = self._signed()
            return -value if negative and value is not None else value
        return self._power()

    def _power(self) -> Fraction | None:
        base = self._atom()
        try:
            sign, exponent = self._operand("^", self._signed)
        except _NotASum:
            return base
        return _apply(sign, base, exponent)

    def _atom(self) -> Fraction | None:
        if self._at(Kind.NUMBER) is not None:
            value = self.tokens[self.position].value
            assert value is not None
            self.operands.append(value)
            self.position += 1
            return value
        if self._at(Kind.OPEN) is None:
            raise _NotASum
        self.position += 1
        inner = self.sum()
        if self._at(Kind.CLOSE) is None:
            raise _NotASum
        self.position += 1
        return inner

    def _operand(self, signs: str, read: _Read) -> tuple[str, Fraction | None]:
        """Read a sign and what follows it, or leave everything as it was."""
        sign = self._at(Kind.OPERATOR)
        before = self.position, len(self.operands), len(self.operators)
        try:
            if sign is None or sign not in signs:
                raise _NotASum
            self.position += 1
            self.operators.append(sign)
            return sign, read()
        except _NotASum:
            self.position = before[0]
            del self.operands[before[1] :], self.operators[before[2] :]
            raise

    def _at(self, kind: Kind) -> str | None:
        if self.position < len(self.tokens) and self.tokens[self.position].kind is kind:
            return self.tokens[self.position].text
        return None


def _apply(sign: str, left: Fraction | None, right: Fraction | None) -> Fraction | None:
    if left is None or right is None:
        return None
    match sign:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "^":
            return _raise(left, right)
        case _ if right == 0:
            return None
        case "/":
            return left / right
        case _:
            return left % right


def _raise(base: Fraction, exponent: Fraction) -> Fraction | None:
    if exponent.denominator != 1 or (base == 0 and exponent < 0):
        return None
    digits = len(str(max(abs(base.numerator), base.denominator))) * abs(exponent.numerator)
    if digits > MOST_DIGITS:
        return None
    return Fraction(base**exponent.numerator)
