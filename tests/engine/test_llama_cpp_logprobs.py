"""What llama.cpp did not tell of an answer is asked for, and what it told is put where it belongs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aprqa.engine.llama_cpp_logprobs import _only_places
from pytest_aprqa.engine.protocol import Engine, Request

LIMIT = 60.0


@given(st.data(), st.lists(st.integers(0, 5), max_size=12))
def test_places_are_the_true_ones_or_none(data: st.DataObject, whole: list[int]) -> None:
    kept = data.draw(st.lists(st.booleans(), min_size=len(whole), max_size=len(whole)))
    true = [place for place, keep in enumerate(kept) if keep]
    assert _only_places([whole[place] for place in true], whole) in (true, None)


@pytest.mark.parametrize(
    ("part", "whole", "places"),
    [
        ([], [1, 2], []),
        ([1, 2], [1, 2], [0, 1]),
        ([7, 9], [7, 8, 8, 9], [0, 3]),
        ([8], [7, 8, 8, 9], None),
        ([9, 7], [7, 8, 9], None),
        ([5], [], None),
    ],
)
def test_places_that_are_not_certain_are_none(
    part: list[int], whole: list[int], places: list[int] | None
) -> None:
    assert _only_places(part, whole) == places


PROMPTS = ("the quick", "é", "fox 🦊 and", "\x07")


@pytest.mark.parametrize("together", [False, True], ids=["alone", "together"])
def test_every_token_of_an_answer_has_the_log_probability_that_scoring_finds(
    gguf_engine: Engine, together: bool
) -> None:
    requests = [Request(prompt, max_tokens=24) for prompt in PROMPTS]
    batches = [requests] if together else [[request] for request in requests]
    answers = [answer for batch in batches for answer in gguf_engine.generate(batch, LIMIT)]
    for answer in answers:
        assert answer.token_ids
        assert answer.prompt_token_ids
        assert answer.logprobs
        whole = (*answer.prompt_token_ids, *answer.token_ids)
        [scores] = gguf_engine.score([whole], 2, LIMIT)
        count = len(answer.token_ids)
        assert answer.logprobs == pytest.approx(scores.logprobs[-count:], abs=2e-3)
        assert "�" in answer.text, "bytes that are no character, of which the server tells nothing"
