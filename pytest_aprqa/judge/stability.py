"""STAB: the same answer twice, in a batch, with a cache; long generations; cancellation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_aprqa.judge.budget import SAME_WEIGHTS_TIE
from pytest_aprqa.judge.divergence import first_difference, judge_same_answers
from pytest_aprqa.judge.judgement import Judgement, corroborated, falsified, inconclusive
from pytest_aprqa.observation import FinishReason, Generation
from pytest_aprqa.words import Attribution

LONGEST_PERIOD = 64
"""Tokens; a longer period is a paragraph told again, which answers of this length cannot show."""

TIGHT_PERIOD = 4
TIGHT_SHARE = 0.8
"""A loop of at most 4 tokens over at least 80 % of the answer is degeneration, not style."""

CANCEL_SLACK = 4
"""Tokens that may still be under way when a cancellation arrives."""


def judge_repeat(
    first: Generation, second: Generation, *, between: str = "between two runs of one request"
) -> Judgement:
    """Judge whether the same request on the same engine gives the same answer twice.

    Nothing changed in between, so even a difference at a tie falsifies; its margin is reported.
    That holds of greedy requests, and of sampled ones with the same seed.
    """
    return judge_same_answers(
        [first],
        [second],
        between=between,
        noise_floor=0.0,
        attribution=Attribution.ENGINE,
    )


def judge_batch(
    single: Sequence[Generation],
    batched: Sequence[Generation],
    *,
    noise_floor: float = SAME_WEIGHTS_TIE,
) -> Judgement:
    """Judge whether prompts asked in one batch are answered as when asked alone.

    Args:
        single: answers to prompts asked one by one.
        batched: answers to the same prompts in one batch.
        noise_floor: nats; a batch sums in another order, so differences below it are ties.
    """
    return judge_same_answers(
        single,
        batched,
        between="between single and batched requests",
        noise_floor=noise_floor,
        attribution=Attribution.ENGINE,
    )


def judge_cache(
    without: Generation, cached: Generation, *, noise_floor: float = SAME_WEIGHTS_TIE
) -> Judgement:
    """Judge whether a prompt cache leaves the answer as it is.

    Args:
        without: the answer without a cache.
        cached: the answer to the same request with one.
        noise_floor: nats; differences below it are ties.
    """
    if without.prompt_token_ids is not None and cached.prompt_token_ids is not None:
        position = first_difference(without.prompt_token_ids, cached.prompt_token_ids)
        if position is not None:
            return falsified(
                f"With a prompt cache another prompt was fed, from token {position} on.",
                Attribution.ENGINE,
                {"prompts": 1, "tokens": position + 1},
                expected="the prompt that was asked",
            )
    return judge_same_answers(
        [without],
        [cached],
        between="without and with a prompt cache",
        noise_floor=noise_floor,
        attribution=Attribution.ENGINE,
    )


@dataclass(frozen=True, slots=True)
class Loop:
    """How an answer repeats itself at its end.

    Attributes:
        period: tokens after which it begins again.
        share: part of the answer that the loop takes, 0..1.
    """

    period: int
    share: float

    @property
    def tight(self) -> bool:
        return self.period <= TIGHT_PERIOD and self.share >= TIGHT_SHARE


def find_loop(generation: Generation) -> Loop | None:
    """Return the loop an answer ends in: at least four rounds and half of the answer.

    Tokens are compared where the engine tells them, words otherwise.
    """
    items: Sequence[object] = (
        generation.text.split() if generation.token_ids is None else generation.token_ids
    )
    for period in range(1, min(LONGEST_PERIOD, len(items) // 4) + 1):
        same = 0
        while same < len(items) - period and items[-1 - same] == items[-1 - same - period]:
            same += 1
        looped = same + period
        if looped >= max(4 * period, len(items) / 2):
            return Loop(period, looped / len(items))
    return None


def judge_long_generation(
    generation: Generation, max_tokens: int, reference: Generation | None = None
) -> Judgement:
    """Judge whether a long answer ends as it should and does not degenerate.

    Greedy answers of sound small models often end in loops, and after a tie they need not be the
    reference's loops. So a loop falsifies only when it is tight and the reference has none; any
    other loop is told.

    Args:
        generation: the long answer.
        max_tokens: how many tokens were asked for.
        reference: the reference's answer to the same prompt; None for the reference itself.
    """
    if generation.finish is FinishReason.CANCELLED:
        return inconclusive("The long generation was cancelled.", Attribution.ENVIRONMENT)
    tokens = len(generation.token_ids) if generation.token_ids is not None else 0
    compared = {"prompts": 1, "tokens": tokens, "characters": len(generation.text)}
    broken = _broken(generation, max_tokens)
    if broken:
        reason, attribution = broken
        return falsified(reason, attribution, compared)
    if not generation.text:
        return inconclusive("The long generation has no text.", compared=compared)
    loop = find_loop(generation)
    metrics = {"loop_share": loop.share if loop else 0.0}
    if loop and loop.tight and reference is not None and find_loop(reference) is None:
        return falsified(
            f"The answer degenerates into a loop of {loop.period} tokens over {loop.share:.0%} of "
            "its length; the reference's answer does not.",
            Attribution.CONVERSION,
            compared,
            metrics=metrics,
        )
    note = f"; it ends in a loop of {loop.period} tokens over {loop.share:.0%}" if loop else ""
    return corroborated(
        f"The answer ended ({generation.finish}) after {tokens} of {max_tokens} tokens{note}.",
        compared,
        metrics=metrics,
    )


def judge_limit(whole: Generation, cut: Generation, limit: int) -> Judgement:
    """Judge whether an answer that is cut off ends at its limit, and says so.

    Args:
        whole: the answer with room to spare, of more than `limit` tokens.
        cut: the answer to the same greedy request of at most `limit` tokens.
        limit: of `cut`.
    """
    if whole.token_ids is None or cut.token_ids is None:
        return inconclusive("The engine does not tell its tokens.", Attribution.ENGINE)
    tokens = len(cut.token_ids)
    compared = {"prompts": 1, "tokens": tokens}
    as_whole = tuple(cut.token_ids) == tuple(whole.token_ids[:tokens])
    ended = cut.finish is FinishReason.LENGTH
    if (
        tokens > limit
        or (tokens < limit and (ended or as_whole))
        or (tokens == limit and not ended)
    ):
        return falsified(
            f"Of an answer of {len(whole.token_ids)} tokens {limit} were asked for; it ended "
            f"({cut.finish}) after {tokens}.",
            Attribution.ENGINE,
            compared,
            expected=f"{limit} tokens, ended ({FinishReason.LENGTH})",
        )
    return corroborated(
        f"Of {limit} tokens asked for {tokens} came, and it ended ({cut.finish}).", compared
    )


def _broken(generation: Generation, max_tokens: int) -> tuple[str, Attribution] | None:
    """Return what is wrong with the way a long answer ended, and whose doing it is."""
    if generation.finish is FinishReason.REFUSED:
        return f"The engine declined the request: {generation.refusal}", Attribution.ENGINE
    if any(not math.isfinite(value) for value in generation.logprobs or ()):
        return "The answer's log-probabilities are not all finite.", Attribution.MODEL
    if generation.token_ids is None:
        return None
    tokens = len(generation.token_ids)
    short = generation.finish is FinishReason.LENGTH and tokens < max_tokens
    if short or tokens > max_tokens:
        return (
            f"The answer ended ({generation.finish}) after {tokens} tokens of {max_tokens}.",
            Attribution.ENGINE,
        )
    return None


def judge_cancellation(
    cancelled: Generation,
    after: Generation,
    cancel_after: int,
    *,
    before: Generation | None = None,
    slack: int = CANCEL_SLACK,
) -> Judgement:
    """Judge whether a generation stops when told to, and the engine still works.

    Args:
        cancelled: the generation that was cancelled.
        after: the answer to another request made afterwards.
        cancel_after: after how many tokens it was cancelled.
        before: the answer to that other request before the cancellation, when it was asked; it
            must not have changed.
        slack: tokens that may still have been under way.
    """
    tokens = len(cancelled.token_ids or ())
    compared = {"prompts": 1, "tokens": tokens}
    if cancelled.finish is FinishReason.REFUSED:
        return inconclusive(
            f"The generation to cancel was declined: {cancelled.refusal}", Attribution.ENGINE
        )
    if tokens > cancel_after + slack or cancelled.finish is FinishReason.LENGTH:
        return falsified(
            f"Cancelled after {cancel_after} tokens, the generation ended "
            f"({cancelled.finish}) after {tokens}.",
            Attribution.ENGINE,
            compared,
            expected=f"at most {cancel_after + slack} tokens",
        )
    if after.finish is FinishReason.REFUSED or not after.text:
        return falsified(
            f"After a cancellation the engine no longer answers{': ' * bool(after.refusal)}"
            f"{after.refusal}.",
            Attribution.ENGINE,
            compared,
        )
    if before is not None:
        same = judge_repeat(before, after)
        if same.outcome.fails:
            return same
    if cancelled.finish is FinishReason.STOP:
        return inconclusive(
            f"The generation ended by itself after {tokens} tokens, before it was cancelled.",
            compared=compared,
        )
    return corroborated(
        f"The generation stopped after {tokens} tokens and the engine answered afterwards.",
        compared,
    )
