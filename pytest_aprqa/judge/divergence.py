"""Where two greedy answers to the same prompt part, and whether it was a tie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest

from pytest_aprqa.judge.judgement import Judgement, corroborated, falsified, inconclusive
from pytest_aprqa.observation import FinishReason, Generation
from pytest_aprqa.words import Attribution


class Unit(StrEnum):
    """What two answers were compared by."""

    TOKEN = "token"
    CHARACTER = "character"


class Parting(StrEnum):
    """What a divergence means."""

    TIE = "tie"
    FAULT = "fault"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first difference between two answers.

    Attributes:
        position: 0-based token or character where they part.
        unit: tokens when both sides tell theirs, else characters of the text.
        first, second: what each side has there; "the end" when it has nothing more.
        first_logprob, second_logprob: of each side's own token, when known.
        margin: nats by which the gap between the two tokens moved at least: the sum of the
            sides' margins over their runner-up. None when neither side tells it.
        smallest_margin: for a comparison by characters, the smallest margin anywhere in the
            answers: no tie can have happened when it is above the noise.
    """

    position: int
    unit: Unit
    first: str
    second: str
    first_logprob: float | None = None
    second_logprob: float | None = None
    margin: float | None = None
    smallest_margin: float | None = None

    def parting(self, noise_floor: float) -> Parting:
        """Return whether noise of this many nats explains the difference."""
        if self.margin is not None:
            return Parting.TIE if self.margin < noise_floor else Parting.FAULT
        if self.unit is Unit.TOKEN or noise_floor <= 0:
            return Parting.FAULT
        if self.smallest_margin is not None and self.smallest_margin > noise_floor:
            return Parting.FAULT
        return Parting.UNKNOWN

    def __str__(self) -> str:
        def side(what: str, logprob: float | None) -> str:
            return what if logprob is None else f"{what} (log-probability {logprob:.3f})"

        margin = "" if self.margin is None else f", margin {self.margin:.3f} nats"
        return (
            f"{self.unit} {self.position}: {side(self.first, self.first_logprob)} against "
            f"{side(self.second, self.second_logprob)}{margin}"
        )


def divergence(first: Generation, second: Generation) -> Divergence | None:
    """Return the first difference between two answers, None when there is none.

    A cancelled answer is compared as far as it goes.
    """
    cut = FinishReason.CANCELLED in (first.finish, second.finish)
    if first.token_ids is None or second.token_ids is None:
        position = _parting(first.text, second.text, cut)
        if position is None:
            return None
        return Divergence(
            position,
            Unit.CHARACTER,
            _at([repr(c) for c in first.text], position),
            _at([repr(c) for c in second.text], position),
            smallest_margin=_smallest_margin(first, second),
        )
    position = _parting(first.token_ids, second.token_ids, cut)
    if position is None:
        return None
    # An answer that just ends made no choice between tokens, so there is no tie to speak of.
    sides = (_margin(first, position), _margin(second, position))
    ended = position >= min(len(first.token_ids), len(second.token_ids))
    margins = [] if ended else [margin for margin in sides if margin is not None]
    return Divergence(
        position,
        Unit.TOKEN,
        _at([str(i) for i in first.token_ids], position),
        _at([str(i) for i in second.token_ids], position),
        _logprob(first, position),
        _logprob(second, position),
        sum(margins) if margins else None,
    )


def misspelling(first: Generation, second: Generation) -> int | None:
    """Return where two answers of the same tokens differ as texts; None when they do not.

    White space at the ends and half a character at the end of a cut-off answer are left to each
    engine; anything else is a fault in putting tokens together, or words of the engine's own.
    """
    same_tokens = first.token_ids is not None and first.token_ids == second.token_ids
    return first_difference(_spelt(first), _spelt(second)) if same_tokens else None


def _spelt(generation: Generation) -> str:
    return generation.text.strip().rstrip("\ufffd").rstrip()


def first_difference(first: Sequence[object], second: Sequence[object]) -> int | None:
    """Return the 0-based position of the first difference; the shorter's end counts as one."""
    pairs = zip_longest(first, second, fillvalue=object())
    return next((i for i, (a, b) in enumerate(pairs) if a != b), None)


def _parting(first: Sequence[object], second: Sequence[object], cut: bool) -> int | None:
    shorter = min(len(first), len(second)) if cut else None
    return first_difference(first[:shorter], second[:shorter])


def _at(items: Sequence[str], position: int) -> str:
    return items[position] if position < len(items) else "the end"


def _logprob(generation: Generation, position: int) -> float | None:
    known = generation.logprobs
    return known[position] if known is not None and position < len(known) else None


def _margin(generation: Generation, position: int) -> float | None:
    chosen, others = generation.logprobs, generation.runner_up
    if chosen is None or others is None or position >= min(len(chosen), len(others)):
        return None
    return max(0.0, chosen[position] - others[position])


def _smallest_margin(first: Generation, second: Generation) -> float | None:
    margins = [
        margin
        for generation in (first, second)
        for i in range(len(generation.logprobs or ()))
        if (margin := _margin(generation, i)) is not None
    ]
    return min(margins, default=None)


def judge_same_answers(
    first: Sequence[Generation],
    second: Sequence[Generation],
    *,
    between: str,
    noise_floor: float,
    attribution: Attribution,
) -> Judgement:
    """Judge whether two sets of greedy answers are the same, ties excepted.

    Args:
        first: answers of one side.
        second: answers of the other to the same prompts in the same order.
        between: the two sides, for people ("batch and single").
        noise_floor: nats; a difference whose margin is below this is a tie. 0 asks for identity.
        attribution: whose doing a difference is.

    Returns:
        Falsified when a pair differs beyond a tie. Inconclusive when nothing was compared or when
        an engine that tells no tokens leaves open whether a difference was a tie.

    Raises:
        ValueError: the two sides have different numbers of answers.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} answers cannot be compared with {len(second)}.")
    compared = {"prompts": 0, "tokens": 0, "characters": 0}
    found: dict[Parting, list[str]] = {parting: [] for parting in Parting}
    for index, (a, b) in enumerate(zip(first, second, strict=True)):
        refused = [side.finish is FinishReason.REFUSED for side in (a, b)]
        if all(refused):
            continue
        compared["prompts"] += 1
        if any(refused):
            found[Parting.FAULT].append(f"prompt {index}: only one side declined it")
            continue
        difference = divergence(a, b)
        unit, count = _extent(a, b, difference)
        compared[f"{unit}s"] += count
        if difference is not None:
            found[difference.parting(noise_floor)].append(f"prompt {index}, {difference}")
    return _judge(found, compared, between, attribution)


def _extent(a: Generation, b: Generation, difference: Divergence | None) -> tuple[Unit, int]:
    """Return how much of two answers was compared, the place where they part included."""
    if a.token_ids is None or b.token_ids is None:
        unit, length = Unit.CHARACTER, min(len(a.text), len(b.text))
    else:
        unit, length = Unit.TOKEN, min(len(a.token_ids), len(b.token_ids))
    return unit, length if difference is None else difference.position + 1


def _judge(
    found: dict[Parting, list[str]],
    compared: dict[str, int],
    between: str,
    attribution: Attribution,
) -> Judgement:
    faults, unknown, ties = found[Parting.FAULT], found[Parting.UNKNOWN], found[Parting.TIE]
    prompts = compared["prompts"]
    metrics = {"divergences": float(len(faults) + len(unknown)), "ties": float(len(ties))}
    expected = f"the same greedy answers {between}, ties excepted"
    if faults:
        return falsified(
            f"{len(faults)} of {prompts} answers differ {between}; first {faults[0]}.",
            attribution,
            compared,
            expected=expected,
            metrics=metrics,
        )
    if not compared["tokens"] + compared["characters"]:
        return inconclusive(
            f"There was nothing to compare {between}: no answer has text.", compared=compared
        )
    if unknown:
        return inconclusive(
            f"{len(unknown)} of {prompts} answers differ {between}, and without tokens on both "
            f"sides a tie cannot be ruled out; first {unknown[0]}.",
            compared=compared,
            expected=expected,
            metrics=metrics,
        )
    tied = f"; {len(ties)} part at a tie, first {ties[0]}" if ties else ""
    return corroborated(
        f"{prompts - len(ties)} of {prompts} answers are identical {between}{tied}.",
        compared,
        expected=expected,
        metrics=metrics,
    )
