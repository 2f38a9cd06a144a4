"""The catalogue: distinct questions, in a fixed order, each with an answer that can be judged."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from pytest_aprqa.judge.oracles import Case, Ruling, make_oracle
from pytest_aprqa.observation import FinishReason
from pytest_aprqa.playbook.catalogue import ROUND, ROUNDS, WRITTEN, Question, question_at
from pytest_aprqa.playbook.check import Scenario

BEYOND = 3 * WRITTEN


def test_every_question_is_distinct_in_name_and_in_both_forms() -> None:
    questions = [question_at(place) for place in range(BEYOND)]
    for form in ("name", "stem", "question"):
        assert len({getattr(question, form) for question in questions}) == BEYOND


def test_the_mixture_holds_as_many_of_each_kind_as_it_says() -> None:
    kinds = Counter(question_at(place).kind for place in range(WRITTEN))
    assert kinds == {kind: count * ROUNDS for kind, count in Counter(ROUND).items()}


def test_any_twelve_in_a_row_have_every_kind() -> None:
    kinds = [question_at(place).kind for place in range(100, 112)]
    assert set(kinds) == set(ROUND)


def test_names_are_kind_and_number_in_the_order_of_asking() -> None:
    sums = [q.name for q in map(question_at, range(WRITTEN)) if q.kind == "arithmetic"]
    assert sums[:3] == ["arithmetic-001", "arithmetic-002", "arithmetic-003"]
    assert sums[-1] == "arithmetic-250"
    assert question_at(WRITTEN).name == "arithmetic-251"
    assert all(re.fullmatch(r"[a-z]+-\d{3,}", question_at(n).name) for n in range(BEYOND))


@pytest.mark.parametrize(
    ("place", "stem", "question", "oracle", "config"),
    [
        (0, "1 + 1 =", "What is 1 + 1?", "arithmetic", {}),
        (
            1,
            "The capital of France is",
            "What is the capital of France?",
            "contains",
            {"any": ["Paris"]},
        ),
        (
            2,
            "def add(a, b):",
            "Complete this Python code:\n\ndef add(a, b):",
            "code_syntax",
            {"languages": ["python"]},
        ),
    ],
)
def test_the_first_questions_never_change(
    place: int, stem: str, question: str, oracle: str, config: dict[str, object]
) -> None:
    found = question_at(place)
    assert (found.stem, found.question) == (stem, question)
    assert (found.oracle.type, found.oracle.config) == (oracle, config)


def test_answers_are_not_given_away_by_questions_about_facts() -> None:
    for question in map(question_at, range(WRITTEN)):
        if question.kind == "fact":
            answers = question.oracle.config["any"]
            assert not any(re.search(rf"\b{re.escape(a)}\b", question.question) for a in answers)


@pytest.mark.parametrize("place", [WRITTEN, WRITTEN + 1, 10 * WRITTEN, 100_000])
def test_past_the_written_questions_sums_go_on(place: int) -> None:
    question = question_at(place)
    assert re.fullmatch(r"\d{3} \+ \d{3} =", question.stem)
    assert question.oracle.type == "arithmetic"


def ideal(question: Question) -> tuple[str, str]:
    """Return what a perfect model answers to the two forms of a question."""
    if question.kind == "arithmetic":
        left, sign, right, _ = question.stem.split()
        a, b = int(left), int(right)
        value = {"+": a + b, "-": a - b, "*": a * b}[sign]
        return f" {value}", f"{left} {sign} {right} = {value}"
    if question.kind == "code":
        indent = " " * (4 * question.stem.count("\n") + 4)
        body = f"\n{indent}pass\n"
        return body, f"```python\n{question.stem}{body}```"
    answer = question.oracle.config["any"][0]
    return f" {answer}.", f"It is {answer}."


WRONG = {
    "arithmetic": (" 10007", "The answer is 10007."),
    "code": ("\n        return (((\n", "```python\ndef (:\n```"),
    "fact": (" xyzzy.", "I am not sure."),
    "instruction": (" xyzzy.", "I am not sure."),
    "unicode": (" xyzzy.", "I am not sure."),
}


def ruling(question: Question, prompt: str, answer: str) -> Ruling:
    oracle = make_oracle(question.oracle.type, question.oracle.config)
    return oracle.judge(Case(Scenario(question.name, prompt), answer, FinishReason.STOP)).ruling


@pytest.mark.parametrize("kind", sorted(set(ROUND)))
def test_the_judge_of_every_question_tells_its_answer_from_another(kind: str) -> None:
    questions = [q for q in map(question_at, range(WRITTEN)) if q.kind == kind]
    for question in questions:
        forms = (question.stem, question.question)
        for prompt, right, wrong in zip(forms, ideal(question), WRONG[kind], strict=True):
            assert ruling(question, prompt, right) is Ruling.RIGHT, (prompt, right)
            assert ruling(question, prompt, wrong) is Ruling.WRONG, (prompt, wrong)
