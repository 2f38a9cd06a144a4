"""COMP: the same question asked over modalities, formats and backends."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_aprqa.judge.budget import SAME_WEIGHTS_TIE, Budget
from pytest_aprqa.judge.divergence import first_difference, judge_same_answers, misspelling
from pytest_aprqa.judge.fidelity import judge_fidelity
from pytest_aprqa.judge.judgement import Judgement, all_of, falsified, inconclusive
from pytest_aprqa.observation import Generation, TokenScores
from pytest_aprqa.words import Attribution, Modality


def judge_modalities(
    *,
    run: Generation | None,
    chat: Generation | None,
    serve: Generation | None,
    noise_floor: float = SAME_WEIGHTS_TIE,
) -> Judgement:
    """Judge whether one rendered prompt gets one answer, whichever way it is asked.

    Args:
        run: answer to the rendered prompt as raw text; None where the modality does not apply.
        chat: answer to the messages through the chat template.
        serve: answer to the messages over HTTP.
        noise_floor: nats; differences below it are ties.
    """
    answers = {Modality.RUN: run, Modality.CHAT: chat, Modality.SERVE: serve}
    given = [(modality, answer) for modality, answer in answers.items() if answer is not None]
    if len(given) < 2:
        return inconclusive(f"Only {len(given)} modalities answered: nothing to compare.")
    (base_name, base), *others = given
    judgements = []
    for name, answer in others:
        prompts = _judge_prompts(base_name, base, name, answer)
        judgements.append(
            prompts
            or judge_same_answers(
                [base],
                [answer],
                between=f"between {base_name} and {name}",
                noise_floor=noise_floor,
                attribution=Attribution.ENGINE,
            )
        )
    return all_of(judgements)


def _judge_prompts(
    base_name: Modality, base: Generation, name: Modality, answer: Generation
) -> Judgement | None:
    """Return a failure when the two modalities fed different tokens."""
    first, second = base.prompt_token_ids, answer.prompt_token_ids
    if first is None or second is None:
        return None
    position = first_difference(first, second)
    if position is None:
        return None
    return falsified(
        f"{base_name} and {name} feed different tokens for the same prompt: {len(first)} against "
        f"{len(second)}, from token {position} on {list(first[position : position + 4])} against "
        f"{list(second[position : position + 4])}.",
        Attribution.ENGINE,
        {"prompts": 1, "tokens": len(first)},
        expected="the same prompt tokens",
    )


def judge_formats(
    reference: Sequence[Generation],
    artifact: Sequence[Generation],
    *,
    reference_scores: Sequence[TokenScores] = (),
    artifact_scores: Sequence[TokenScores] = (),
    budget: Budget | None = None,
) -> Judgement:
    """Judge whether an artifact answers as its reference in another format does.

    The same tokens must be the same text. For the rest, scores decide where there are any, since equality of texts cries wolf at a tie and sleeps
    through faults; the answers then only say where they part. Without scores the budget's tie
    margin decides. Without a budget a difference beyond the noise of arithmetic is inconclusive,
    because nobody said how coarse the weights may be.

    Args:
        reference: the reference's greedy answers.
        artifact: the artifact's to the same prompts, in the same order.
        reference_scores: teacher-forced scores of the reference.
        artifact_scores: the artifact's over the same tokens.
        budget: what the artifact may lose.

    Raises:
        ValueError: the two sides answered or scored different things.
    """
    between = "between reference and artifact"
    answers = judge_same_answers(
        reference,
        artifact,
        between=between,
        noise_floor=budget.tie_margin if budget else SAME_WEIGHTS_TIE,
        attribution=Attribution.CONVERSION,
    )
    if (spelt := _judge_spelling(reference, artifact)) is not None:
        return spelt
    if budget is not None and (reference_scores or artifact_scores):
        fidelity = judge_fidelity(reference_scores, artifact_scores, budget)
        return Judgement(
            fidelity.outcome,
            f"{fidelity.reason} {answers.reason}" if reference else fidelity.reason,
            fidelity.compared,
            fidelity.attribution,
            fidelity.expected,
            fidelity.metrics | answers.metrics,
        )
    if budget is None and answers.outcome.fails:
        return inconclusive(
            f"{answers.reason} Log-probabilities would tell whether this is a fault.",
            compared=answers.compared,
            expected=answers.expected,
            metrics=answers.metrics,
        )
    return answers


def _judge_spelling(
    reference: Sequence[Generation], artifact: Sequence[Generation]
) -> Judgement | None:
    """Return a failure when the same tokens came out as different texts."""
    for index, (ours, theirs) in enumerate(zip(reference, artifact, strict=True)):
        position = misspelling(ours, theirs)
        if position is not None:
            return falsified(
                f"Prompt {index}: both answer with the same tokens, but the texts differ from "
                f"character {position}: {ours.text[:60]!r} against {theirs.text[:60]!r}.",
                Attribution.ENGINE,
                {"prompts": index + 1, "tokens": len(ours.token_ids or ())},
                expected="the same text for the same tokens",
            )
    return None


def judge_backends(
    first: Sequence[Generation],
    second: Sequence[Generation],
    *,
    noise_floor: float = SAME_WEIGHTS_TIE,
) -> Judgement:
    """Judge whether two backends answer alike with the same files.

    Args:
        first: greedy answers on one backend.
        second: answers on the other to the same prompts, in the same order.
        noise_floor: nats; differences below it are ties.
    """
    return judge_same_answers(
        first,
        second,
        between="between the backends",
        noise_floor=noise_floor,
        attribution=Attribution.ENGINE,
    )
