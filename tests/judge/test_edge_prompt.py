"""What reached the model must be what was asked."""

from __future__ import annotations

import pytest

from pytest_aprqa.judge.edge import judge_edge
from pytest_aprqa.judge.edge_prompt import ROUND_TRIP, not_given_back, unlike_asked
from pytest_aprqa.observation import FinishReason, Generation
from pytest_aprqa.playbook.check import Scenario
from pytest_aprqa.words import Attribution, Outcome

ASKED = (5, 6, 7)


@pytest.mark.parametrize("fed", [None, ASKED, (1, *ASKED), (*ASKED, 2), (1, *ASKED, 2)])
def test_a_start_and_an_end_may_stand_around_the_prompt(fed: tuple[int, ...] | None) -> None:
    assert unlike_asked(ASKED, fed) == ""


@pytest.mark.parametrize(
    ("fed", "words"),
    [
        ((6, 7), "of the 3 tokens of the prompt 2 were fed"),
        ((5, 9, 7), "part at token 1"),
        ((1, 2, 3, *ASKED), "part at token 0"),
        ((), "of the 3 tokens of the prompt 0 were fed"),
    ],
)
def test_any_other_prompt_is_told(fed: tuple[int, ...], words: str) -> None:
    assert words in unlike_asked(ASKED, fed)


def test_a_prompt_without_a_token_may_begin_with_the_start() -> None:
    assert unlike_asked((), (1,)) == ""


@pytest.mark.parametrize("sound", [ROUND_TRIP, f" {ROUND_TRIP}", ROUND_TRIP.lower(), "Z"])
def test_a_tokenizer_may_change_case_and_white_space(sound: str) -> None:
    assert not_given_back(sound) == ""


@pytest.mark.parametrize(
    "damaged", [ROUND_TRIP.encode().decode("latin-1"), ROUND_TRIP.replace("\u20ac", "\ufffd")]
)
def test_characters_that_come_back_damaged_are_told(damaged: str) -> None:
    assert "comes back from its tokens as" in not_given_back(damaged)


def test_another_prompt_is_the_engines_fault_whatever_was_answered() -> None:
    answer = Generation("A sound answer.", FinishReason.STOP)
    scenario = Scenario("edge-too-long", "", edge="too-long")
    assert judge_edge(scenario, answer).outcome is Outcome.CORROBORATED
    judgement = judge_edge(scenario, answer, "it was cut")
    assert judgement.outcome is Outcome.FALSIFIED
    assert judgement.attribution is Attribution.ENGINE
