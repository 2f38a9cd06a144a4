"""The oracle that asks whether an answer is about the question."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_aprqa.judge.oracles import OracleAnswer, Ruling

RIGHT, WRONG, NOT_APPLICABLE = Ruling.RIGHT, Ruling.WRONG, Ruling.NOT_APPLICABLE
Ask = Callable[..., OracleAnswer]

SKY = "Why is the sky blue during the day?"


@pytest.mark.parametrize(
    "answer", ["The sky looks blue because air scatters short waves of sunlight most.", "Blue air."]
)
def test_an_answer_that_takes_up_what_was_asked_is_relevant(ask: Ask, answer: str) -> None:
    assert ask("response", answer, SKY, min_relevance=0.2).ruling is RIGHT


@pytest.mark.parametrize(
    ("answer", "prompt"),
    [
        ("A recipe begins with fresh tomatoes, basil, olive oil and some patience.", SKY),
        ("Rayleigh scattering.", SKY),
        ("Plants turn light, water and carbon dioxide into sugar.", "Explain photosynthesis."),
        ("4", "2+2="),
        ("I can't stand the rain, but the sun makes it worth the wait.", SKY),
        ("I cannot tell you all. " + "Rayleigh scattering favours short waves. " * 8, "Why?"),
    ],
)
def test_few_shared_words_prove_nothing(ask: Ask, answer: str, prompt: str) -> None:
    assert ask("response", answer, prompt).ruling is NOT_APPLICABLE


@pytest.mark.parametrize(
    "answer",
    [
        "",
        " \n",
        SKY,
        "why is the sky blue during the day",
        f"{SKY} {SKY}\n{SKY}",
        "I'm sorry, but I can't help with that.",
        "I am unable to answer this question.",
        "As an AI language model, I cannot provide that.",
        "Unfortunately, I can’t explain why the sky is blue.",
    ],
)
def test_what_answers_nothing_is_wrong(ask: Ask, answer: str) -> None:
    assert ask("response", answer, SKY).ruling is WRONG
