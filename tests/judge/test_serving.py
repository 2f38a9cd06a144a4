"""What a server may say besides the answer."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_aprqa.judge.serving import judge_serve
from pytest_aprqa.observation import FinishReason, Generation, Usage
from pytest_aprqa.words import Attribution, Outcome


def served(**fields: Any) -> Generation:
    sound: dict[str, Any] = {
        "text": "Paris.",
        "finish": FinishReason.LENGTH,
        "usage": Usage(12, 3),
        "streamed_text": "Paris.",
        "streamed_usage": Usage(12, 3),
    }
    return Generation(**(sound | fields))


def test_a_server_that_agrees_with_itself_and_the_tokenizer_is_corroborated() -> None:
    judgement = judge_serve(served(), prompt_tokens=12, completion_tokens=3)
    assert judgement.outcome is Outcome.CORROBORATED
    assert judgement.compared == {"streams": 1, "counts": 5}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"streamed_text": "Paris"}, "streamed text differs from character 5"),
        ({"streamed_text": ""}, "streamed text differs from character 0"),
        ({"usage": Usage(11, 3)}, "usage says 11 prompt tokens, the tokenizer 12"),
        ({"usage": Usage(12, 4)}, "usage says 4 completion tokens, the engine 3"),
        ({"streamed_usage": Usage(12, 1)}, "stream usage says 1 completion tokens"),
        ({"streamed_usage": Usage(0, 0)}, "the stream counts 0 + 0 tokens"),
        ({"usage": None, "streamed_usage": None}, "the whole answer has no usage"),
    ],
)
def test_a_server_that_contradicts_itself_or_the_tokenizer_is_falsified(
    fields: dict[str, object], said: str
) -> None:
    judgement = judge_serve(served(**fields), prompt_tokens=12, completion_tokens=3)
    assert judgement.outcome is Outcome.FALSIFIED
    assert judgement.attribution is Attribution.ENGINE
    assert said in judgement.reason


@pytest.mark.parametrize(
    ("finish", "counted", "holds"),
    [
        (FinishReason.STOP, 3, True),
        (FinishReason.STOP, 2, True),
        (FinishReason.STOP, 1, False),
        (FinishReason.LENGTH, 3, True),
        (FinishReason.LENGTH, 2, False),
    ],
)
def test_only_the_end_of_sequence_token_may_go_uncounted(
    finish: FinishReason, counted: int, holds: bool
) -> None:
    usage = Usage(12, counted)
    generation = served(finish=finish, usage=usage, streamed_usage=usage)
    assert judge_serve(generation, completion_tokens=3).outcome.passes == holds


def test_without_known_counts_the_server_is_held_against_itself() -> None:
    assert judge_serve(served()).compared == {"streams": 1, "counts": 1}
    assert judge_serve(served(streamed_usage=Usage(12, 9))).outcome is Outcome.FALSIFIED


def test_a_server_that_reports_nothing_leaves_nothing_to_judge() -> None:
    bare = served(usage=None, streamed_text=None, streamed_usage=None)
    judgement = judge_serve(bare, prompt_tokens=12, completion_tokens=3)
    assert judgement.outcome is Outcome.INCONCLUSIVE


def test_a_refusal_is_falsified_in_the_servers_words() -> None:
    judgement = judge_serve(served(finish=FinishReason.REFUSED, refusal="HTTP 400"))
    assert judgement.outcome is Outcome.FALSIFIED
    assert "HTTP 400" in judgement.reason


def test_a_cancelled_answer_is_inconclusive() -> None:
    assert judge_serve(served(finish=FinishReason.CANCELLED)).outcome is Outcome.INCONCLUSIVE
