"""The language of conditions: comparisons of a run's figures, and nothing that could do anything.

A condition is read with Python's own parser and then rebuilt from the few forms that are allowed;
nothing of it is ever executed by Python.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum

from pytest_aprqa.playbook.figures import METRICS, Figure, Source, figure

MOST_CHARACTERS = 500
MOST_NODES = 200


class Operator(StrEnum):
    """What joins two numbers."""

    ADD = "+"
    SUBTRACT = "-"
    MULTIPLY = "*"
    DIVIDE = "/"


class Relation(StrEnum):
    """What is said of two numbers."""

    LESS = "<"
    AT_MOST = "<="
    GREATER = ">"
    AT_LEAST = ">="
    EQUAL = "=="
    UNEQUAL = "!="


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it is written."""

    value: float


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Two numbers joined."""

    operator: Operator
    left: Numeric
    right: Numeric


Numeric = Number | Figure | Arithmetic


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is said of two numbers."""

    left: Numeric
    relation: Relation
    right: Numeric


@dataclass(frozen=True, slots=True)
class Negation:
    """The opposite of a truth."""

    operand: Truth


@dataclass(frozen=True, slots=True)
class Junction:
    """Several truths, of which all must hold, or one."""

    all_must: bool
    operands: tuple[Truth, ...]


Truth = Figure | Comparison | Negation | Junction

_OPERATORS: dict[type[ast.operator], Operator] = {
    ast.Add: Operator.ADD,
    ast.Sub: Operator.SUBTRACT,
    ast.Mult: Operator.MULTIPLY,
    ast.Div: Operator.DIVIDE,
}
_RELATIONS: dict[type[ast.cmpop], Relation] = {
    ast.Lt: Relation.LESS,
    ast.LtE: Relation.AT_MOST,
    ast.Gt: Relation.GREATER,
    ast.GtE: Relation.AT_LEAST,
    ast.Eq: Relation.EQUAL,
    ast.NotEq: Relation.UNEQUAL,
}


def parse_condition(text: str, quantizations: Collection[str] = ()) -> Truth:
    """Return a condition as a tree.

    Args:
        text: for instance "tokens_per_second.gpu >= 2 * tokens_per_second.cpu and G4".
        quantizations: those by which artifacts are told apart, in lower case.

    Raises:
        ValueError: it is none; one sentence says what is wrong and what is allowed.
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"a condition has at most {MOST_CHARACTERS} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError, Warning):
        raise ValueError(
            f"{text!r} is no condition; write comparisons, for instance "
            "`pass_rate.QUAL >= 0.9 and tokens_per_second.cpu >= 10`"
        ) from None
    if sum(1 for _ in ast.walk(tree)) > MOST_NODES:
        raise ValueError("the condition is too long; make two of it")
    condition = _Reader(frozenset(quantizations)).truth(tree)
    if not any(figures_in(condition)):
        raise ValueError(f"{text!r} names no figure of a run; known are {', '.join(METRICS)}")
    return condition


def figures_in(node: Truth | Numeric) -> Iterator[Figure]:
    """Yield every figure that a condition names, from left to right."""
    match node:
        case Figure():
            yield node
        case Arithmetic(_, left, right) | Comparison(left, _, right):
            yield from figures_in(left)
            yield from figures_in(right)
        case Negation(operand):
            yield from figures_in(operand)
        case Junction(_, operands):
            for operand in operands:
                yield from figures_in(operand)


@dataclass(frozen=True, slots=True)
class _Reader:
    quantizations: frozenset[str]

    def truth(self, node: ast.expr) -> Truth:
        match node:
            case ast.BoolOp(op, values):
                return Junction(isinstance(op, ast.And), tuple(map(self.truth, values)))
            case ast.UnaryOp(ast.Not(), operand):
                return Negation(self.truth(operand))
            case ast.Compare(left, relations, others):
                return self._comparison([left, *others], relations)
            case ast.Name() | ast.Attribute():
                found = self._figure(node)
                if found.metric.source is Source.GATEWAY:
                    return found
        raise ValueError(f"`{ast.unparse(node)}` neither holds nor fails; compare it with a number")

    def _comparison(self, sides: list[ast.expr], relations: list[ast.cmpop]) -> Truth:
        numbers = list(map(self._number, sides))
        said = []
        for left, operator, right in zip(numbers, relations, numbers[1:], strict=False):
            if (relation := _RELATIONS.get(type(operator))) is None:
                raise ValueError(f"numbers are compared by {', '.join(Relation)} only")
            said.append(Comparison(left, relation, right))
        return said[0] if len(said) == 1 else Junction(all_must=True, operands=tuple(said))

    def _number(self, node: ast.expr) -> Numeric:
        match node:
            case ast.Constant(int() | float() as value) if not isinstance(value, bool):
                return Number(_finite(value))
            case ast.UnaryOp(ast.USub(), operand):
                return Arithmetic(Operator.SUBTRACT, Number(0.0), self._number(operand))
            case ast.BinOp(left, operator, right) if type(operator) in _OPERATORS:
                joined = _OPERATORS[type(operator)]
                return Arithmetic(joined, self._number(left), self._number(right))
            case ast.Name() | ast.Attribute():
                found = self._figure(node)
                if found.metric.source is not Source.GATEWAY:
                    return found
                raise ValueError(f"{found} holds or fails, it is no number; write it by itself")
        raise ValueError(
            f"`{ast.unparse(node)}` is no number; allowed are numbers, figures, "
            f"{' '.join(Operator)} and parentheses"
        )

    def _figure(self, node: ast.expr) -> Figure:
        name = ast.unparse(node)
        while isinstance(node, ast.Attribute):
            node = node.value
        match node:
            case ast.Name():
                return figure(name, self.quantizations)
        raise ValueError(f"`{name}` is no name of a figure")


def _finite(value: float) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if number == float("inf"):
        raise ValueError(f"`{str(value)[:20]}` is larger than any figure")
    return number
