"""Where two answers part, and whether it was a tie."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aprqa.judge.divergence import (
    Parting,
    Unit,
    divergence,
    first_difference,
    judge_same_answers,
)
from pytest_aprqa.judge.judgement import Judgement
from pytest_aprqa.observation import FinishReason, Generation
from pytest_aprqa.words import Attribution, Outcome

Answer = Callable[..., Generation]
REFUSED = Generation(text="", finish=FinishReason.REFUSED, refusal="no")


@given(st.lists(st.integers(0, 3)), st.lists(st.integers(0, 3)))
def test_the_first_difference_splits_off_the_common_beginning(a: list[int], b: list[int]) -> None:
    position = first_difference(a, b)
    if position is None:
        assert a == b
    else:
        assert a[:position] == b[:position]
        assert a[position : position + 1] != b[position : position + 1]


def test_identical_answers_do_not_part(answer: Answer) -> None:
    assert divergence(answer("a b", (1, 2)), answer("a b", (1, 2))) is None
    assert divergence(answer("a b"), answer("a b")) is None


def test_a_parting_names_both_tokens_with_their_log_probabilities(answer: Answer) -> None:
    found = divergence(
        answer("a b c", (1, 2, 3), (1.0, 0.1, 1.0)), answer("a x y", (1, 7, 8), (1.0, 0.06, 2.0))
    )
    assert found is not None
    assert (found.position, found.unit, found.first, found.second) == (1, Unit.TOKEN, "2", "7")
    assert (found.first_logprob, found.second_logprob) == (-0.5, -0.5)
    assert found.margin == pytest.approx(0.16)
    assert str(found) == (
        "token 1: 2 (log-probability -0.500) against 7 (log-probability -0.500), margin 0.160 nats"
    )


def test_a_margin_below_the_noise_is_a_tie_and_above_a_fault(answer: Answer) -> None:
    found = divergence(answer("a", (1,), (0.1,)), answer("b", (2,), (0.06,)))
    assert found is not None
    assert found.parting(0.2) is Parting.TIE
    assert found.parting(0.15) is Parting.FAULT
    assert found.parting(0.0) is Parting.FAULT


def test_one_sides_margin_is_enough_to_judge_by(answer: Answer) -> None:
    found = divergence(answer("a", (1,), (0.1,)), answer("b", (2,)))
    assert found is not None
    assert found.margin == pytest.approx(0.1)


def test_tokens_without_margins_cannot_be_called_a_tie(answer: Answer) -> None:
    found = divergence(answer("a", (1,)), answer("b", (2,)))
    assert found is not None
    assert found.parting(10.0) is Parting.FAULT


def test_an_answer_that_just_ends_is_no_tie(answer: Answer) -> None:
    found = divergence(answer("a b", (1, 2), (0.0, 0.0)), answer("a", (1,), (0.0,)))
    assert found is not None
    assert (found.position, found.second, found.parting(1.0)) == (1, "the end", Parting.FAULT)


def test_a_cancelled_answer_is_compared_as_far_as_it_goes(answer: Answer) -> None:
    cut = answer("a", (1,), finish=FinishReason.CANCELLED)
    assert divergence(answer("a b", (1, 2)), cut) is None
    assert divergence(answer("x b", (9, 2)), cut) is not None


def test_text_alone_leaves_a_tie_open_unless_the_model_was_sure_all_along(answer: Answer) -> None:
    http = answer("a x")
    unsure = divergence(answer("a b", (1, 2), (2.0, 0.1)), http)
    sure = divergence(answer("a b", (1, 2), (2.0, 1.5)), http)
    assert unsure is not None
    assert sure is not None
    assert (unsure.unit, unsure.position) == (Unit.CHARACTER, 2)
    assert unsure.parting(0.3) is Parting.UNKNOWN
    assert sure.parting(0.3) is Parting.FAULT


def judge(first: list[Generation], second: list[Generation], floor: float = 0.3) -> Judgement:
    return judge_same_answers(
        first, second, between="here", noise_floor=floor, attribution=Attribution.ENGINE
    )


def test_identical_answers_are_corroborated_by_their_tokens(answer: Answer) -> None:
    judgement = judge([answer("a b", (1, 2)), answer("ab")], [answer("a b", (1, 2)), answer("ab")])
    assert judgement.outcome is Outcome.CORROBORATED
    assert judgement.compared == {"prompts": 2, "tokens": 2, "characters": 2}


def test_two_empty_answers_agree_about_nothing(answer: Answer) -> None:
    empty = Generation(text="", finish=FinishReason.STOP, token_ids=())
    silent = Generation(text="", finish=FinishReason.STOP)
    for nothing in ([], [empty], [silent], [REFUSED]):
        assert judge(nothing, nothing).outcome is Outcome.INCONCLUSIVE


def test_a_tie_is_told_and_passes(answer: Answer) -> None:
    judgement = judge([answer("a", (1,), (0.1,))], [answer("b", (2,), (0.1,))])
    assert judgement.outcome is Outcome.CORROBORATED
    assert "1 part at a tie, first prompt 0, token 0" in judgement.reason
    assert judgement.metrics == {"divergences": 0.0, "ties": 1.0}


def test_one_fault_among_many_falsifies(answer: Answer) -> None:
    same = answer("a", (1,))
    judgement = judge([same, answer("a", (1,), (2.0,))], [same, answer("b", (2,), (2.0,))])
    assert judgement.outcome is Outcome.FALSIFIED
    assert judgement.attribution is Attribution.ENGINE
    assert "1 of 2 answers differ here; first prompt 1, token 0" in judgement.reason


def test_declining_on_one_side_only_is_a_fault(answer: Answer) -> None:
    assert judge([answer("a", (1,))], [REFUSED]).outcome is Outcome.FALSIFIED


def test_an_open_question_is_inconclusive(answer: Answer) -> None:
    judgement = judge([answer("a b", (1, 2), (2.0, 0.1))], [answer("a x")])
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "a tie cannot be ruled out" in judgement.reason


def test_sides_of_different_length_are_a_mistake_of_the_caller(answer: Answer) -> None:
    with pytest.raises(ValueError, match="1 answers cannot be compared with 0"):
        judge([answer("a")], [])
