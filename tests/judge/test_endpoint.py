"""A server's answers by the reference's choices."""

from __future__ import annotations

import pytest

from pytest_aprqa.judge.budget import budget_for
from pytest_aprqa.judge.endpoint import EndpointAnswer, judge_endpoint
from pytest_aprqa.words import Attribution, Outcome

BUDGET = budget_for("float32", "q4_k_m")
NEAR, FAR = BUDGET.tie_margin - 0.1, BUDGET.tie_margin + 0.1


@pytest.mark.parametrize(
    ("gaps", "outcome"),
    [
        ((0.0,) * 24, Outcome.CORROBORATED),
        ((NEAR,) * 24, Outcome.CORROBORATED),
        ((FAR,) * 3 + (0.0,) * 21, Outcome.CORROBORATED),  # 0.116 by chance
        ((FAR,) * 4 + (0.0,) * 20, Outcome.FALSIFIED),
        ((FAR,), Outcome.FALSIFIED),
        ((), Outcome.FALSIFIED),
    ],
)
def test_more_strange_tokens_than_chance_refute_a_server(
    gaps: tuple[float, ...], outcome: Outcome
) -> None:
    judged = judge_endpoint([EndpointAnswer("What is 2+2?", gaps)], BUDGET)
    assert judged.outcome is outcome
    assert judged.compared == {"prompts": 1, "tokens": len(gaps)}
    assert judged.attribution is (Attribution.ENGINE if outcome is Outcome.FALSIFIED else None)


def test_without_a_question_there_is_nothing_to_tell() -> None:
    assert judge_endpoint([], BUDGET).outcome is Outcome.INCONCLUSIVE


def test_a_silent_server_is_named_with_its_prompt() -> None:
    answers = [EndpointAnswer("One?", (0.0,) * 5), EndpointAnswer("Two?", ())]
    assert "says nothing to 'Two?'" in judge_endpoint(answers, BUDGET).reason
