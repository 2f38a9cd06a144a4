"""The catalogue: questions with known answers, for playbooks that bring none of their own.

Its order is fixed, so that a name means the same question in every run. It is endless: where the
written questions end, sums go on.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice, zip_longest
from math import gcd
from pathlib import Path
from typing import Any

from pytest_aprqa.playbook.check import OracleSpec

_QUESTIONS = Path(__file__).with_name("catalogue.toml")

ROUND = (
    "arithmetic", "fact", "code", "arithmetic", "fact", "arithmetic",
    "unicode", "arithmetic", "instruction", "arithmetic", "fact", "instruction",
)  # fmt: skip
"""The kinds of twelve questions in a row; the mixture of the catalogue."""

ROUNDS = 50
"""How often the mixture repeats before only sums follow."""

WRITTEN = len(ROUND) * ROUNDS
"""How many questions the mixture holds."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question in two forms.

    Attributes:
        name: kind and number, for instance "arithmetic-001".
        kind: one of the kinds of `ROUND`.
        stem: the form for completion (run): a text whose continuation is the answer.
        question: the form for conversation (chat, serve).
        oracle: what judges the answer.
    """

    name: str
    kind: str
    stem: str
    question: str
    oracle: OracleSpec


@cache
def question_at(index: int) -> Question:
    """Return a question of the catalogue by its place, from 0."""
    if index >= WRITTEN:
        kind, ordinal = "arithmetic", index - WRITTEN + ROUND.count("arithmetic") * ROUNDS
    else:
        rounds, place = divmod(index, len(ROUND))
        kind = ROUND[place]
        ordinal = rounds * ROUND.count(kind) + ROUND[:place].count(kind)
    stem, question, oracle = (
        _arithmetic(ordinal) if kind == "arithmetic" else _written()[kind][ordinal]
    )
    return Question(f"{kind}-{ordinal + 1:03d}", kind, stem, question, oracle)


@cache
def written_questions(kind: str) -> tuple[Question, ...]:
    """Return the questions of a kind that are written out."""
    return tuple(
        Question(f"{kind}-{number:03d}", kind, *entry)
        for number, entry in enumerate(_written()[kind], start=1)
    )


Entry = tuple[str, str, OracleSpec]


def _arithmetic(ordinal: int) -> Entry:
    """Return a sum; the first ones have small operands, all later ones three digits."""
    sums = _small_sums()
    left, sign, right = sums[ordinal] if ordinal < len(sums) else _large_sum(ordinal - len(sums))
    return (
        f"{left} {sign} {right} =",
        f"What is {left} {sign} {right}?",
        OracleSpec("arithmetic"),
    )


Sum = tuple[int, str, int]


@cache
def _small_sums() -> tuple[Sum, ...]:
    """Return as many sums as the mixture asks for, two additions to each of the others."""
    plus = _shuffled([(a, "+", b) for a in range(1, 21) for b in range(1, 21)], 149)
    minus = _shuffled([(a, "-", b) for a in range(2, 21) for b in range(1, a)], 71)
    times = _shuffled([(a, "*", b) for a in range(2, 13) for b in range(2, 13)], 50)
    dealt = (s for four in zip(plus[::2], minus, times, plus[1::2], strict=False) for s in four)
    return tuple(islice(dealt, ROUND.count("arithmetic") * ROUNDS))


def _shuffled(sums: list[Sum], stride: int) -> list[Sum]:
    """Return the sums in a mixed order that no version of Python changes."""
    assert gcd(stride, len(sums)) == 1
    return [sums[place * stride % len(sums)] for place in range(len(sums))]


def _large_sum(ordinal: int) -> Sum:
    """Return one of 810 000 additions of three-digit numbers, none twice."""
    left, right = divmod(ordinal * 380_041 % 810_000, 900)
    return 100 + left, "+", 100 + right


@cache
def _written() -> dict[str, tuple[Entry, ...]]:
    """Read the questions that are written out, `ROUNDS` of each or a multiple of it."""
    tables = tomllib.loads(_QUESTIONS.read_text(encoding="utf-8"))
    return {kind: tuple(_entries(tables[kind])) for kind in tables}


def _entries(families: list[dict[str, Any]]) -> Iterator[Entry]:
    """Deal the families of a kind in turns, so that neighbours differ."""
    rows = [
        [_entry(family, asked, answers) for asked, answers in family["answers"].items()]
        for family in families
    ]
    return (entry for turn in zip_longest(*rows) for entry in turn if entry is not None)


def _entry(family: dict[str, Any], asked: str, answers: str | list[str]) -> Entry:
    """Return one question: its text in the place of `{}` in the family's two forms."""
    stem, question = (family[form].replace("{}", asked) for form in ("stem", "question"))
    if family.get("oracle") == "code_syntax":
        return stem, question, OracleSpec("code_syntax", {"languages": [answers]})
    wanted = [answers] if isinstance(answers, str) else answers
    return stem, question, OracleSpec("contains", {"any": wanted, **family.get("contains", {})})
