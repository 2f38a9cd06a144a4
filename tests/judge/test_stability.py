"""Repeats, batches, caches, long answers and cancellations."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pytest_aprqa.judge.stability import (
    find_loop,
    judge_batch,
    judge_cache,
    judge_cancellation,
    judge_limit,
    judge_long_generation,
    judge_repeat,
)
from pytest_aprqa.observation import FinishReason, Generation
from pytest_aprqa.words import Attribution, Outcome

Answer = Callable[..., Generation]
REFUSED = Generation(text="", finish=FinishReason.REFUSED, refusal="too long")
LENGTH, STOP = FinishReason.LENGTH, FinishReason.STOP
PROSE = tuple(range(100, 228))


def test_the_same_answer_twice_is_corroborated(answer: Answer) -> None:
    assert judge_repeat(answer("a", (1,)), answer("a", (1,))).outcome is Outcome.CORROBORATED


@pytest.mark.parametrize("margin", [0.0, 0.001, 3.0])
def test_a_repeat_that_differs_falsifies_even_at_a_tie(answer: Answer, margin: float) -> None:
    judgement = judge_repeat(answer("a", (1,), (margin,)), answer("b", (2,), (margin,)))
    assert judgement.outcome is Outcome.FALSIFIED
    assert judgement.attribution is Attribution.ENGINE
    assert f"margin {2 * margin:.3f} nats" in judgement.reason


def test_texts_that_differ_on_a_repeat_falsify_without_tokens_too(answer: Answer) -> None:
    assert judge_repeat(answer("a"), answer("b")).outcome is Outcome.FALSIFIED


@pytest.mark.parametrize(
    ("margin", "outcome"), [(0.05, Outcome.CORROBORATED), (1.0, Outcome.FALSIFIED)]
)
def test_batch_and_cache_may_break_a_tie_but_nothing_more(
    answer: Answer, margin: float, outcome: Outcome
) -> None:
    first, second = answer("a", (1,), (margin,)), answer("b", (2,), (margin,))
    assert judge_batch([first, second], [second, second]).outcome is outcome
    assert judge_cache(first, second).outcome is outcome


@pytest.mark.parametrize(
    ("tokens", "period"),
    [
        ((7,) * 32, 1),
        ((1, 2, 3) * 12, 3),
        (PROSE[:20] + (5, 6) * 20, 2),
        (PROSE, None),
        ((1, 2, 3), None),
        ((), None),
        (PROSE[:100] + (5,) * 10, None),
        (PROSE[:40] * 3, None),
    ],
)
def test_a_loop_is_found_when_it_takes_half_of_the_answer(
    answer: Answer, tokens: tuple[int, ...], period: int | None
) -> None:
    loop = find_loop(answer("text", tokens))
    assert (loop.period if loop else None) == period


def test_a_loop_is_found_in_words_where_there_are_no_tokens(answer: Answer) -> None:
    loop = find_loop(answer("so it goes " * 12))
    assert loop is not None
    assert (loop.period, loop.share) == (3, 1.0)


def long(answer: Answer, tokens: tuple[int, ...] = PROSE, **more: Any) -> Generation:
    return answer("once upon a time", tokens, **{"finish": FinishReason.LENGTH, **more})


def test_a_long_answer_that_reaches_its_limit_is_corroborated(answer: Answer) -> None:
    judgement = judge_long_generation(long(answer), 128)
    assert judgement.outcome is Outcome.CORROBORATED
    assert judgement.compared["tokens"] == 128


def test_a_long_answer_may_stop_by_itself(answer: Answer) -> None:
    stopped = long(answer, PROSE[:90], finish=FinishReason.STOP)
    assert judge_long_generation(stopped, 128).outcome is Outcome.CORROBORATED


@pytest.mark.parametrize("tokens", [PROSE[:20], (*PROSE, 1)])
def test_a_limit_that_was_not_kept_falsifies_the_engine(
    answer: Answer, tokens: tuple[int, ...]
) -> None:
    judgement = judge_long_generation(long(answer, tokens), 128)
    assert (judgement.outcome, judgement.attribution) == (Outcome.FALSIFIED, Attribution.ENGINE)


def test_numbers_that_are_not_finite_falsify_a_long_answer(answer: Answer) -> None:
    broken = replace(long(answer), logprobs=(*(-0.1,) * 127, math.nan))
    assert judge_long_generation(broken, 128).outcome is Outcome.FALSIFIED


def test_a_refused_long_answer_is_falsified_and_a_cancelled_one_open(answer: Answer) -> None:
    assert judge_long_generation(REFUSED, 128).outcome is Outcome.FALSIFIED
    cancelled = long(answer, finish=FinishReason.CANCELLED)
    assert judge_long_generation(cancelled, 128).outcome is Outcome.INCONCLUSIVE
    silent = Generation(text="", finish=FinishReason.STOP)
    assert judge_long_generation(silent, 128).outcome is Outcome.INCONCLUSIVE


def test_a_tight_loop_falsifies_only_against_a_reference_that_has_none(answer: Answer) -> None:
    looping, sound = long(answer, (9, 8) * 64), long(answer)
    against_sound = judge_long_generation(looping, 128, sound)
    assert against_sound.outcome is Outcome.FALSIFIED
    assert against_sound.attribution is Attribution.CONVERSION
    assert judge_long_generation(looping, 128, looping).outcome is Outcome.CORROBORATED
    alone = judge_long_generation(looping, 128)
    assert alone.outcome is Outcome.CORROBORATED
    assert "loop of 2 tokens over 100%" in alone.reason


def test_a_wide_loop_is_told_but_not_charged(answer: Answer) -> None:
    judgement = judge_long_generation(long(answer, PROSE[:16] * 8), 128, long(answer))
    assert judgement.outcome is Outcome.CORROBORATED
    assert judgement.metrics["loop_share"] == 1


def cancelled_after(answer: Answer, tokens: int) -> Generation:
    return answer("once", PROSE[:tokens], finish=FinishReason.CANCELLED)


def test_a_generation_that_stops_when_told_is_corroborated(answer: Answer) -> None:
    judgement = judge_cancellation(cancelled_after(answer, 5), answer("Paris.", (1,)), 4)
    assert judgement.outcome is Outcome.CORROBORATED


def test_a_generation_that_runs_on_is_falsified(answer: Answer) -> None:
    late = judge_cancellation(cancelled_after(answer, 40), answer("Paris.", (1,)), 4)
    assert (late.outcome, late.attribution) == (Outcome.FALSIFIED, Attribution.ENGINE)
    never = answer("once", PROSE, finish=FinishReason.LENGTH)
    assert judge_cancellation(never, answer("Paris."), 4).outcome is Outcome.FALSIFIED


@pytest.mark.parametrize("after", [REFUSED, Generation(text="", finish=FinishReason.STOP)])
def test_an_engine_that_is_dead_afterwards_is_falsified(answer: Answer, after: Generation) -> None:
    judgement = judge_cancellation(cancelled_after(answer, 4), after, 4)
    assert judgement.outcome is Outcome.FALSIFIED
    assert "no longer answers" in judgement.reason


def test_a_cancellation_must_not_change_later_answers(answer: Answer) -> None:
    before, after = answer("Paris.", (1,)), answer("London.", (2,))
    cancelled = cancelled_after(answer, 4)
    assert judge_cancellation(cancelled, after, 4, before=before).outcome is Outcome.FALSIFIED
    assert judge_cancellation(cancelled, before, 4, before=before).outcome.passes


def test_an_answer_that_was_over_before_its_cancellation_proves_nothing(answer: Answer) -> None:
    for early in (answer("no", (1, 2)), REFUSED):
        judgement = judge_cancellation(early, answer("Paris."), 4)
        assert judgement.outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("tokens", "finish", "outcome"),
    [
        pytest.param((1, 2), LENGTH, Outcome.CORROBORATED, id="cut where it was asked to"),
        pytest.param((1, 2), STOP, Outcome.FALSIFIED, id="cut, and said to have ended by itself"),
        pytest.param((1,), LENGTH, Outcome.FALSIFIED, id="cut too early"),
        pytest.param((1,), STOP, Outcome.FALSIFIED, id="too early, and said to have ended"),
        pytest.param((9,), STOP, Outcome.CORROBORATED, id="another answer, which ended"),
        pytest.param((1, 2, 3), LENGTH, Outcome.FALSIFIED, id="goes on past its limit"),
    ],
)
def test_an_answer_ends_at_its_limit_and_says_so(
    tokens: tuple[int, ...], finish: FinishReason, outcome: Outcome
) -> None:
    whole = Generation("a b c d", STOP, token_ids=(1, 2, 3, 4))
    cut = Generation("a b", finish, token_ids=tokens)
    assert judge_limit(whole, cut, 2).outcome is outcome


def test_without_tokens_nothing_is_said_of_a_limit() -> None:
    whole = Generation("a b c d", STOP)
    assert judge_limit(whole, whole, 2).outcome is Outcome.INCONCLUSIVE


def test_a_cache_that_feeds_another_prompt_is_a_fault_even_when_the_answer_is_the_same(
    answer: Answer,
) -> None:
    without = replace(answer("a", (1,)), prompt_token_ids=(5, 6))
    cached = replace(answer("a", (1,)), prompt_token_ids=(4, 5, 6))
    assert judge_cache(without, without).outcome is Outcome.CORROBORATED
    assert judge_cache(without, cached).outcome is Outcome.FALSIFIED
