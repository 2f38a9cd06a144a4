"""Which question is asked in which cell."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from pytest_aprqa.playbook.load import LoadedPlaybook
from pytest_aprqa.playbook.questions import Asked, Questions
from pytest_aprqa.words import Backend, Modality

Load = Callable[..., LoadedPlaybook]

LANES = tuple(product(Backend, Modality))
CPU_RUN = (Backend.CPU, Modality.RUN)
CPU_CHAT = (Backend.CPU, Modality.CHAT)


def names(asked: tuple[Asked, ...]) -> list[str]:
    return [item.scenario.name for item in asked]


@pytest.mark.parametrize("count", [1, 2, 100, 101, 250])
def test_no_two_lanes_share_a_question_of_the_catalogue(load: Load, count: int) -> None:
    questions = Questions(load(), count)
    asked = [name for lane in LANES for name in names(questions.dealt(*lane))]
    assert len(asked) == len(set(asked)) == count * len(LANES)


@pytest.mark.parametrize("extra", ["", "test_matrix: {prompts: [a, b, c, d, e, f, g]}"])
@pytest.mark.parametrize("lane", LANES)
def test_a_smaller_plan_asks_the_first_questions_of_a_larger_one(
    load: Load, extra: str, lane: tuple[Backend, Modality]
) -> None:
    loaded = load(extra)
    many = names(Questions(loaded, 120).dealt(*lane))
    for count in (1, 3, 10, 100):
        assert names(Questions(loaded, count).dealt(*lane)) == many[:count]


def test_the_playbooks_questions_come_before_the_catalogues(load: Load) -> None:
    loaded = load("scenarios: [{name: ours, prompt: hi}]\ntest_matrix: {prompts: [ho]}\n")
    asked = Questions(loaded, 4).dealt(*CPU_RUN)
    assert names(asked) == ["ours", "prompt-002", "arithmetic-001", "fact-001"]
    assert [item.kind for item in asked] == ["prompt", "prompt", "arithmetic", "fact"]


def test_even_one_question_a_cell_uses_many_of_the_playbooks(load: Load) -> None:
    questions = Questions(load("test_matrix: {prompts: [a, b, c, d, e, f]}"), 1)
    assert {names(questions.dealt(*lane))[0] for lane in LANES} == {
        f"prompt-00{number}" for number in range(1, 7)
    }


def test_no_question_is_asked_twice_of_a_cell(load: Load) -> None:
    asked = names(Questions(load("test_matrix: {prompts: [a, b]}"), 50).dealt(*CPU_CHAT))
    assert len(set(asked)) == 50


def test_a_name_of_the_playbook_is_not_given_to_a_question_of_the_catalogue(load: Load) -> None:
    loaded = load("scenarios: [{name: arithmetic-001, prompt: 2+2=}]")
    asked = Questions(loaded, 3).dealt(*CPU_RUN)
    assert names(asked) == ["arithmetic-001", "fact-001", "code-001"]
    assert asked[0].scenario.prompt == "2+2="


def test_run_completes_and_chat_answers(load: Load) -> None:
    questions = Questions(load(), 2)
    assert questions.dealt(*CPU_RUN)[1].scenario.prompt == "The capital of France is"
    assert questions.dealt(*CPU_CHAT)[0].scenario.prompt.endswith(("?", "."))


def test_a_question_may_have_a_form_for_completion(load: Load) -> None:
    extra = "scenarios: [{name: a, prompt: Which?, completion: The one is, system: Be brief.}]"
    questions = Questions(load(extra), 1)
    raw = questions.dealt(*CPU_RUN)[0].scenario
    chat = questions.dealt(*CPU_CHAT)[0].scenario
    assert (raw.prompt, raw.system) == ("The one is", None)
    assert (chat.prompt, chat.system) == ("Which?", "Be brief.")


def test_history_is_for_conversations_only(load: Load) -> None:
    extra = (
        "scenarios:\n  - name: a\n    prompt: And you?\n"
        "    history: [{role: user, content: Hi}, {role: assistant, content: Hello}]\n"
    )
    questions = Questions(load(extra), 1)
    assert questions.dealt(*CPU_RUN)[0].scenario.history == ()
    turns = questions.dealt(*CPU_CHAT)[0].scenario.history
    assert [(turn.role, turn.content) for turn in turns] == [("user", "Hi"), ("assistant", "Hello")]


def test_decoding_is_the_matrixs_unless_the_prompt_says_otherwise(load: Load) -> None:
    extra = (
        "test_matrix:\n  seed: 7\n  max_tokens: 9\n"
        "  prompts: [{prompt: a, max_tokens: 3, temperature: 0.5}, b]\n"
    )
    own, plain, ours = (item.scenario for item in Questions(load(extra), 3).dealt(*CPU_RUN))
    assert (own.max_tokens, own.temperature, own.seed) == (3, 0.5, 7)
    assert (plain.max_tokens, plain.temperature, plain.seed) == (9, 0.0, 7)
    assert (ours.max_tokens, ours.temperature, ours.seed) == (9, 0.0, 7)


def test_a_question_knows_the_line_it_comes_from(load: Load) -> None:
    loaded = load("test_matrix:\n  prompts:\n    - a\n    - b\n")
    first, second, ours = Questions(loaded, 3).dealt(*CPU_RUN)
    assert (first.line, second.line, ours.line) == (5, 6, 3)


def test_an_oracle_that_no_question_needs_is_worth_a_notice(load: Load) -> None:
    loaded = load("oracles:\n  - {type: garbage}\n  - {type: response}\n")
    questions = Questions(loaded, 1)
    questions.dealt(*CPU_RUN)
    [notice] = questions.notices()
    assert (notice.field, notice.line) == ("oracles[1]", 5)
