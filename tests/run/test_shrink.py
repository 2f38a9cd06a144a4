"""The search for the smallest question that fails."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from pytest_aprqa.playbook.check import OracleSpec
from pytest_aprqa.playbook.draw import Draw
from pytest_aprqa.playbook.families import Generated, arithmetic, multi_turn
from pytest_aprqa.run.shrink import smallest_failure


def numbers(question: Generated) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", question.stem)]


def test_the_smallest_sum_that_fails_is_found() -> None:
    found = smallest_failure(
        arithmetic,
        lambda q: "+" in q.stem and numbers(q)[0] >= 21,
        count=100,
        max_shrinks=1000,
        seed=42,
    )
    assert found is not None
    assert found.stem == "21 + 0 ="
    assert found.question == "What is 21 + 0?"


def test_a_conversation_loses_the_turns_that_do_not_matter() -> None:
    found = smallest_failure(
        multi_turn, lambda q: len(q.history) > 2, count=100, max_shrinks=1000, seed=1
    )
    assert found is not None
    assert len(found.history) == 4


def test_nothing_is_found_where_nothing_fails_and_no_more_is_asked_than_wanted() -> None:
    asked = []
    failing = smallest_failure(
        arithmetic, lambda q: bool(asked.append(q)), count=17, max_shrinks=1000, seed=42
    )
    assert failing is None
    assert 10 <= len(asked) <= 17


def large_numbers(draw: Draw) -> Generated:
    number = draw.integer(0, 1_000_000)
    return Generated(f"What is {number}?", f"{number} =", OracleSpec("arithmetic"))


def test_the_questions_do_not_depend_on_the_modules_that_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked() -> list[str]:
        questions: list[str] = []
        smallest_failure(
            large_numbers,
            lambda q: bool(questions.append(q.question)),
            count=200,
            max_shrinks=0,
            seed=7,
        )
        return questions

    before = asked()
    (tmp_path / "full_of_numbers.py").write_text(
        f"NUMBERS = {list(range(100_000, 900_000, 7_919))}"
    )
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("full_of_numbers")
    assert asked() == before


@pytest.mark.parametrize("most", [0, 3])
def test_no_more_is_spent_on_a_smaller_failure_than_may_be(most: int) -> None:
    after: list[int] = []

    def fails(question: Generated) -> bool:
        failing = numbers(question)[0] >= 11
        if failing or after:
            after.append(numbers(question)[0])
        return failing

    found = smallest_failure(arithmetic, fails, count=100, max_shrinks=most, seed=42)
    assert found is not None
    assert len(after) == 1 + most


def test_the_same_seed_finds_the_same_by_the_same_questions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runs: list[list[str]] = []
    for _ in range(2):
        asked: list[str] = []

        def fails(question: Generated, asked: list[str] = asked) -> bool:
            asked.append(question.stem)
            return sum(numbers(question)) > 60

        smallest_failure(arithmetic, fails, count=50, max_shrinks=50, seed=5)
        runs.append(asked)
    assert runs[0] == runs[1]
    assert not list(tmp_path.iterdir())
