"""Whether a condition holds: arithmetic on intervals, and truths of which some are not known.

A measurement lies somewhere in its interval. A comparison holds or fails only when it does so
wherever in them the values lie; else it is open, as it is when something was not measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pytest_aprqa.judge.judgement import Judgement, corroborated, falsified, inconclusive
from pytest_aprqa.judge.statistics import Interval
from pytest_aprqa.playbook.check import CheckKind
from pytest_aprqa.playbook.condition import (
    Arithmetic,
    Comparison,
    Junction,
    Negation,
    Number,
    Numeric,
    Operator,
    Relation,
    Truth,
)
from pytest_aprqa.playbook.figures import Figure
from pytest_aprqa.words import Attribution

Value = Interval | bool | None
"""A number with its 95 % interval, a truth, or None for what was not measured."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a figure came to in one case.

    Attributes:
        figure: of the case, with nothing left open that is measured by the cell.
    """

    figure: Figure
    value: Value

    def __str__(self) -> str:
        match self.value:
            case None:
                return f"{self.figure} was not measured"
            case bool():
                return f"{self.figure} {'holds' if self.value else 'does not hold'}"
            case Interval(low, high):
                exact = low == high
                return f"{self.figure} is {f'{low:.4g}' if exact else f'in {self.value}'}"


Case = Mapping[Figure, Finding]
"""What the figures of a condition came to in one part of the run, by the figure as it is named."""


def judge_condition(text: str, condition: Truth, cases: Sequence[Case]) -> Judgement:
    """Judge a condition: it must hold in every case.

    Falsified when it fails in one; inconclusive when none fails and one is open.

    Args:
        text: the condition as it is written.
        condition: the same, read.
        cases: at least one.
    """
    answers = [(truth(condition, case), case) for case in cases]
    compared = {"figures": sum(len(case) for answer, case in answers if answer is not None)}
    for answer, case in answers:
        if answer is False:
            reason = f"`{text}` does not hold: {_told(case)}."
            return falsified(reason, _whose(case), compared, expected=text)
    for answer, case in answers:
        if answer is None:
            unknown = all(finding.value is not None for finding in case.values())
            noise = ". The noise is too large to tell" if unknown else ""
            reason = f"`{text}` is open: {_told(case)}{noise}."
            return inconclusive(reason, compared=compared, expected=text)
    where = f" in all of {len(cases)} cases" if len(cases) > 1 else ""
    return corroborated(f"`{text}` holds{where}: {_told(cases[0])}.", compared, expected=text)


def truth(node: Truth, case: Case) -> bool | None:
    """Return whether a condition holds in a case, None when that is open (Kleene's logic)."""
    match node:
        case Figure():
            value = case[node].value
            return value if isinstance(value, bool) else None
        case Negation(operand):
            held = truth(operand, case)
            return None if held is None else not held
        case Junction(all_must, operands):
            answers = [truth(operand, case) for operand in operands]
            if (not all_must) in answers:
                return not all_must
            return None if None in answers else all_must
        case Comparison(left, relation, right):
            ours, theirs = number(left, case), number(right, case)
            return None if ours is None or theirs is None else _RELATIONS[relation](ours, theirs)


def number(node: Numeric, case: Case) -> Interval | None:
    """Return the interval an expression lies in, None when it is not known."""
    match node:
        case Number(value):
            return Interval(value, value)
        case Figure():
            found = case[node].value
            return found if isinstance(found, Interval) else None
        case Arithmetic(operator, left, right):
            ours, theirs = number(left, case), number(right, case)
            return None if ours is None or theirs is None else _joined(operator, ours, theirs)


def _joined(operator: Operator, left: Interval, right: Interval) -> Interval | None:
    """Return the interval of the results of all pairs of values; None when one has no result."""
    if operator is Operator.DIVIDE and right.low <= 0 <= right.high:
        return None
    ends = [_OPERATORS[operator](a, b) for a in _ends(left) for b in _ends(right)]
    return None if any(map(math.isnan, ends)) else Interval(min(ends), max(ends))


def _ends(interval: Interval) -> tuple[float, float]:
    return interval.low, interval.high


def _less(ours: Interval, theirs: Interval) -> bool | None:
    if ours.high < theirs.low:
        return True
    return False if ours.low >= theirs.high else None


def _at_most(ours: Interval, theirs: Interval) -> bool | None:
    if ours.high <= theirs.low:
        return True
    return False if ours.low > theirs.high else None


def _equal(ours: Interval, theirs: Interval) -> bool | None:
    if ours.high < theirs.low or theirs.high < ours.low:
        return False
    return True if {*_ends(ours), *_ends(theirs)} == {ours.low} else None


def _unequal(ours: Interval, theirs: Interval) -> bool | None:
    held = _equal(ours, theirs)
    return None if held is None else not held


_OPERATORS: dict[Operator, Callable[[float, float], float]] = {
    Operator.ADD: lambda a, b: a + b,
    Operator.SUBTRACT: lambda a, b: a - b,
    Operator.MULTIPLY: lambda a, b: a * b,
    Operator.DIVIDE: lambda a, b: a / b,
}
_RELATIONS: dict[Relation, Callable[[Interval, Interval], bool | None]] = {
    Relation.LESS: _less,
    Relation.AT_MOST: _at_most,
    Relation.GREATER: lambda a, b: _less(b, a),
    Relation.AT_LEAST: lambda a, b: _at_most(b, a),
    Relation.EQUAL: _equal,
    Relation.UNEQUAL: _unequal,
}


def _told(case: Case) -> str:
    return ", ".join(str(finding) for finding in case.values()) or "it names no figure"


def _whose(case: Case) -> Attribution:
    """Say whose doing a miss is: speed is a matter of model, engine and machine at once."""
    timed = any(figure.metric.kind is CheckKind.PERFORMANCE for figure in case)
    return Attribution.ENVIRONMENT if timed else Attribution.MODEL
