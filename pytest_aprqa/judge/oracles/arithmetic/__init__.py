"""The oracle for sums: is the value the answer states the right one?"""

from __future__ import annotations

from fractions import Fraction

from pydantic import Field

from pytest_aprqa.judge.oracles.arithmetic.lexer import tokenize
from pytest_aprqa.judge.oracles.arithmetic.question import read_question
from pytest_aprqa.judge.oracles.arithmetic.reader import Stated
from pytest_aprqa.judge.oracles.arithmetic.stated import find_stated
from pytest_aprqa.judge.oracles.oracle import (
    Case,
    Oracle,
    OracleAnswer,
    not_applicable,
    right,
    wrong,
)

MOST_ASKED = 2_000  # characters of a prompt that are read
MOST_ANSWERED = 10_000  # characters of an answer that are read: its end is what counts
ROUNDED_DECIMALS = 2  # "3.33" answers 10/3; "3" and "3.3" do not


class Arithmetic(Oracle):
    """The answer states the value of the sum that the prompt asks for.

    Sums are computed exactly. What counts is the value the answer states as its answer: "12" does
    not hold a 2, "2+2=5, 4 is wrong" states 5, "It took 4 ms" states nothing, and a step of the
    working is not its end. A value that is no finite decimal may be rounded or cut off at two
    decimals or more.
    """

    tolerance: float = Field(
        default=0.0, ge=0.0, allow_inf_nan=False, description="Largest absolute difference accepted"
    )

    def judge(self, case: Case) -> OracleAnswer:
        """Compute the sum and compare the stated value."""
        question = read_question(case.scenario.prompt[:MOST_ASKED])
        if question is None:
            return not_applicable("the prompt asks for no single sum")
        if question.value is None:
            return not_applicable("the sum in the prompt has no value")
        expected = _written(question.value)
        stated = find_stated(tokenize(case.answer[:MOST_ANSWERED]), question)
        if stated is None:
            return wrong(f"no value is stated as the answer; {expected} is right", expected)
        if stated.value is None:
            return wrong(f"the answer is undecided: {stated.text}; {expected} is right", expected)
        if self._agrees(stated, stated.value, question.value):
            return right(f"the stated value {stated.text} is right", expected)
        return wrong(f"the stated value is {stated.text}; {expected} is right", expected)

    def _agrees(self, stated: Stated, value: Fraction, exact: Fraction) -> bool:
        difference = abs(value - exact)
        if difference <= Fraction(self.tolerance):
            return True
        decimals = stated.decimals or 0
        if _is_finite_decimal(exact) or decimals < ROUNDED_DECIMALS or value == 0:
            return False
        cut = Fraction(int(exact * 10**decimals), 10**decimals)
        return value in (round(exact, decimals), cut)


def _is_finite_decimal(value: Fraction) -> bool:
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1


def _written(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    return f"{float(value):.10g}" if _is_finite_decimal(value) else f"{value} ({float(value):.6g})"
