"""One question over modalities, formats and backends."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pytest_aprqa.judge.budget import budget_for
from pytest_aprqa.judge.parity import judge_backends, judge_formats, judge_modalities
from pytest_aprqa.observation import FinishReason, Generation, TokenScores
from pytest_aprqa.words import Attribution, Outcome

Answer = Callable[..., Generation]
ScoresOf = Callable[..., TokenScores]
REFUSED = Generation(text="", finish=FinishReason.REFUSED, refusal="no")


def test_one_answer_by_three_ways_is_corroborated(answer: Answer) -> None:
    direct = answer("Paris.", (1, 2), prompt_token_ids=(5, 6))
    judgement = judge_modalities(run=direct, chat=direct, serve=answer("Paris."))
    assert judgement.outcome is Outcome.CORROBORATED
    assert judgement.compared == {"prompts": 2, "tokens": 2, "characters": 6}
    assert "between run and chat" in judgement.reason
    assert "between run and serve" in judgement.reason


def test_a_modality_that_does_not_apply_is_left_out(answer: Answer) -> None:
    direct = answer("Paris.", (1, 2))
    judgement = judge_modalities(run=direct, chat=None, serve=answer("Paris."))
    assert judgement.outcome is Outcome.CORROBORATED
    assert judge_modalities(run=direct, chat=None, serve=None).outcome is Outcome.INCONCLUSIVE


def test_other_prompt_tokens_are_found_before_other_answers(answer: Answer) -> None:
    run = answer("Paris.", (1, 2), prompt_token_ids=(5, 6))
    chat = answer("Paris.", (1, 2), prompt_token_ids=(0, 5, 6))
    judgement = judge_modalities(run=run, chat=chat, serve=None)
    assert judgement.outcome is Outcome.FALSIFIED
    assert judgement.attribution is Attribution.ENGINE
    assert "2 against 3, from token 0 on [5, 6] against [0, 5, 6]" in judgement.reason


def test_a_later_fault_outweighs_an_earlier_open_question(answer: Answer) -> None:
    run = answer("a b", (1, 2), (2.0, 0.1))
    open_question = answer("a x")
    judgement = judge_modalities(run=run, chat=open_question, serve=REFUSED)
    assert judgement.outcome is Outcome.FALSIFIED
    assert judge_modalities(run=run, chat=run, serve=open_question).outcome is (
        Outcome.INCONCLUSIVE
    )


@pytest.mark.parametrize(
    ("margin", "outcome"), [(0.05, Outcome.CORROBORATED), (2.0, Outcome.FALSIFIED)]
)
def test_backends_may_break_a_tie_but_nothing_more(
    answer: Answer, margin: float, outcome: Outcome
) -> None:
    judgement = judge_backends([answer("a", (1,), (margin,))], [answer("b", (2,), (margin,))])
    assert judgement.outcome is outcome


def test_formats_with_equal_answers_are_corroborated(answer: Answer) -> None:
    same = [answer("a b", (1, 2))]
    assert judge_formats(same, same).outcome is Outcome.CORROBORATED


@pytest.mark.parametrize(
    "text", ["Loaded in 0.4s\nIt is Paris.", "Itis Paris.", "It is Paris\u00e3.", "It is Paris"]
)
def test_the_same_tokens_as_another_text_are_the_engines_fault(answer: Answer, text: str) -> None:
    reference = [answer("It is Paris.", (1, 2, 3))]
    judgement = judge_formats(reference, [answer(text, (1, 2, 3))])
    assert judgement.outcome is Outcome.FALSIFIED
    assert judgement.attribution is Attribution.ENGINE
    assert "the same tokens" in judgement.reason


@pytest.mark.parametrize("text", [" It is Paris.", "It is Paris.\n", "It is Paris. \ufffd"])
def test_blanks_and_half_characters_at_the_ends_are_left_to_engines(
    answer: Answer, text: str
) -> None:
    reference = [answer("It is Paris.", (1, 2, 3))]
    assert judge_formats(reference, [answer(text, (1, 2, 3))]).outcome is Outcome.CORROBORATED


def test_without_a_budget_other_answers_prove_nothing(answer: Answer) -> None:
    judgement = judge_formats([answer("a", (1,), (1.0,))], [answer("b", (2,), (1.0,))])
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "Log-probabilities would tell" in judgement.reason


@pytest.mark.parametrize(
    ("dtype", "outcome"), [("Q2_K", Outcome.CORROBORATED), ("F16", Outcome.FALSIFIED)]
)
def test_the_budget_says_what_is_a_tie(answer: Answer, dtype: str, outcome: Outcome) -> None:
    first, second = [answer("a", (1,), (1.0,))], [answer("b", (2,), (1.0,))]
    judgement = judge_formats(first, second, budget=budget_for("float32", dtype))
    assert judgement.outcome is outcome


@pytest.fixture
def scores(scores_of: ScoresOf) -> tuple[list[TokenScores], list[TokenScores]]:
    """Return scores of a sound pair: the same logits twice."""
    logits = np.random.default_rng(0).normal(size=(200, 32)) * 3
    return [scores_of(logits)], [scores_of(logits)]


def test_scores_overrule_answers_that_part(
    answer: Answer, scores: tuple[list[TokenScores], list[TokenScores]]
) -> None:
    judgement = judge_formats(
        [answer("a", (1,), (5.0,))],
        [answer("b", (2,), (5.0,))],
        reference_scores=scores[0],
        artifact_scores=scores[1],
        budget=budget_for("float32", "F16"),
    )
    assert judgement.outcome is Outcome.CORROBORATED
    assert "1 of 1 answers differ" in judgement.reason
    assert judgement.metrics["divergences"] == 1


def test_scores_find_a_fault_that_leaves_the_answers_alone(
    answer: Answer, scores_of: ScoresOf, scores: tuple[list[TokenScores], list[TokenScores]]
) -> None:
    same = [answer("Paris.", (1, 2))]
    reference, _ = scores
    noise = np.random.default_rng(1).normal(size=(200, 32))
    logits = np.random.default_rng(0).normal(size=(200, 32)) * 3 + noise
    judgement = judge_formats(
        same,
        same,
        reference_scores=reference,
        artifact_scores=[scores_of(logits, reference[0].token_ids)],
        budget=budget_for("float32", "F16"),
    )
    assert judgement.outcome is Outcome.FALSIFIED
    assert judgement.attribution is Attribution.CONVERSION


def test_scores_alone_are_enough(scores: tuple[list[TokenScores], list[TokenScores]]) -> None:
    judgement = judge_formats(
        [],
        [],
        reference_scores=scores[0],
        artifact_scores=scores[1],
        budget=budget_for("float32", "F16"),
    )
    assert judgement.outcome is Outcome.CORROBORATED
    assert "answers" not in judgement.reason
