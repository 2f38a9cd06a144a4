"""COMP: whether a server that tells only text answers as the model whose files are tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_aprqa.judge.budget import LEAST_DISAGREEMENT, Budget
from pytest_aprqa.judge.judgement import Judgement, corroborated, falsified, inconclusive
from pytest_aprqa.judge.statistics import rate_exceeds
from pytest_aprqa.words import Attribution

CHANCE = 0.05
"""How likely so many strange tokens may be by chance before they refute a server."""


@dataclass(frozen=True, slots=True)
class EndpointAnswer:
    """A server's greedy answer, as the reference sees it.

    Attributes:
        prompt: what was asked.
        gaps: for each token of the answer by how many nats the reference would rather have said
            its own best token there; 0 where they agree.
    """

    prompt: str
    gaps: tuple[float, ...]


def judge_endpoint(answers: Sequence[EndpointAnswer], budget: Budget) -> Judgement:
    """Judge answers by the reference's own choices at each of their tokens.

    A server of the same model says at each place what the reference says, or a token that noise of
    its quantisation may lift above it. Falsified when more tokens lie beyond that than the share
    that may always disagree, by more than chance. It tells no probabilities, so no more can be asked.
    """
    gaps = [gap for answer in answers for gap in answer.gaps]
    compared = {"prompts": len(answers), "tokens": len(gaps)}
    expected = (
        f"at most {LEAST_DISAGREEMENT:.0%} of the tokens more than {budget.tie_margin:.2f} nats "
        f"behind the reference's own ({budget.because})"
    )
    for answer in answers:
        if not answer.gaps:
            return falsified(
                f"The server says nothing to {answer.prompt!r}.",
                Attribution.ENGINE,
                compared,
                expected=expected,
            )
    strange = sum(gap > budget.tie_margin for gap in gaps)
    reason = (
        f"{strange} of {len(gaps)} tokens lie more than {budget.tie_margin:.2f} nats behind the "
        f"reference's own, {sum(gap == 0 for gap in gaps)} are the same"
    )
    metrics = {
        "same_tokens": float(sum(gap == 0 for gap in gaps)),
        "strange_tokens": float(strange),
    }
    if rate_exceeds(strange, len(gaps), LEAST_DISAGREEMENT, CHANCE):
        return falsified(
            f"{reason}: the server runs another model, or another template.",
            Attribution.ENGINE,
            compared,
            expected=expected,
            metrics=metrics,
        )
    if not gaps or not rate_exceeds(len(gaps), len(gaps), LEAST_DISAGREEMENT, CHANCE):
        return inconclusive(
            f"{reason}, too few to tell.", compared=compared, expected=expected, metrics=metrics
        )
    return corroborated(f"{reason}.", compared, expected=expected, metrics=metrics)
