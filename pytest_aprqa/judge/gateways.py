"""G0, G2, G3 and G4: the conditions without which no score counts."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from itertools import zip_longest

from pytest_aprqa.judge.garbage import ERROR_RATES, inspect_text
from pytest_aprqa.judge.judgement import Judgement, corroborated, falsified, inconclusive
from pytest_aprqa.judge.statistics import rate_exceeds, upper_bound
from pytest_aprqa.observation import FileReport, FinishReason, Generation
from pytest_aprqa.words import Attribution

GARBAGE_ALPHA = 0.01
"""Probability that G4 falsifies a sound model: one sound model in a hundred, at most."""


def judge_g0(report: FileReport, *, converted: bool = False) -> Judgement:
    """Judge the integrity of an artifact's files.

    Args:
        report: what the file reader found.
        converted: the artifact was made from another one, so a fault is the conversion's.
    """
    compared = dict(report.checked)
    if report.errors:
        more = len(report.errors) - 1
        first = report.errors[0]
        also = f" ({more} more error{'s' if more > 1 else ''})" if more else ""
        return falsified(
            f"{first.rule}: {first.message}{also}",
            Attribution.CONVERSION if converted else Attribution.MODEL,
            compared,
            metrics={"errors": float(len(report.errors))},
        )
    if not any(count > 0 for count in compared.values()):
        return inconclusive("The file check looked at nothing.", compared=compared)
    looked_at = ", ".join(f"{count} {what}" for what, count in compared.items() if count)
    return corroborated(f"The files are consistent: {looked_at}.", compared)


def judge_g2(generation: Generation, *, reference_holds: bool = False) -> Judgement:
    """Judge whether one short generation yields output at all.

    A lone end-of-sequence token is no output.

    Args:
        generation: of the artifact under test.
        reference_holds: the reference, when the artifact is not itself the reference, passes
            this gateway; then an empty answer is the conversion's doing.
    """
    if generation.finish is FinishReason.CANCELLED:
        return inconclusive(
            "The generation was cancelled before it could yield a token.", Attribution.ENVIRONMENT
        )
    tokens = 0 if generation.token_ids is None else len(generation.token_ids)
    compared = {"prompts": 1, "tokens": tokens}
    if _yields(generation):
        return corroborated(f"The model answered {generation.text[:60]!r}.", compared)
    if generation.finish is FinishReason.REFUSED:
        reason = f"The engine declined the request: {generation.refusal or 'no reason given'}"
    else:
        reason = f"The generation ended ({generation.finish}) after {tokens} tokens without text."
    return falsified(
        reason,
        Attribution.CONVERSION if reference_holds else Attribution.MODEL,
        compared,
        expected="at least one token of text",
    )


def _yields(generation: Generation) -> bool:
    return generation.finish is not FinishReason.REFUSED and bool(generation.text)


def judge_g3(
    *,
    executed: int,
    repeated: Sequence[str],
    flaky: Sequence[str] = (),
    attribution: Attribution = Attribution.ENGINE,
) -> Judgement:
    """Judge stability over a whole run.

    Args:
        executed: how many checks made an engine work.
        repeated: names of checks whose crash, abort or hang came again in a fresh engine.
        flaky: those whose crash did not; they cost points but do not fail the gateway.
        attribution: whose doing the repeatable ones are; CONVERSION when the reference passes
            the same checks.
    """
    compared = {"checks": executed}
    metrics = {"repeatable_crashes": float(len(repeated)), "flaky_crashes": float(len(flaky))}
    if repeated:
        return falsified(
            f"{len(repeated)} of {executed} checks crashed or hung the engine, and again in a "
            f"fresh one; first {repeated[0]}.",
            attribution,
            compared,
            expected="no repeatable crash",
            metrics=metrics,
        )
    if executed <= 0:
        return inconclusive(
            "No check made an engine work, so nothing could crash.", compared=compared
        )
    flakes = f" ({len(flaky)} crashed once and not again)" if flaky else ""
    return corroborated(
        f"{executed} checks ran without a repeatable crash{flakes}.", compared, metrics=metrics
    )


def judge_g4(
    generations: Sequence[Generation],
    *,
    logprobs: Sequence[Sequence[float]] = (),
    special_tokens: Collection[str] = (),
    false_alarm_rate: float | None = None,
    reference_holds: bool = False,
    family: int = 1,
    alpha: float = GARBAGE_ALPHA,
) -> Judgement:
    """Judge whether the outputs are garbage more often than the detector errs.

    Falsified when all outputs are garbage, however few, or when that many detections among that
    many sound outputs would have a probability of at most `alpha` over the family (exact binomial
    tail). With a false-alarm rate of 0.005 and no others in the family one detection of 2 falsifies
    and one of 3 does not; two of up to 30 do. What the rule lets through is garbage in the
    scenarios' own checks all the same.

    Args:
        generations: one per distinct prompt, since repeats of a prompt are not independent.
            Refused requests are left out: they have no text.
        logprobs: for each of them the reference's log-probabilities of its tokens, in nats; none
            when there is no sound reference.
        special_tokens: texts of the tokenizer's special tokens, which no answer should show.
        false_alarm_rate: how often the detector calls a sound output garbage; by default the
            upper 95 % bound of what was measured of it.
        reference_holds: the reference, when the artifact is not itself the reference, passes
            this gateway; then garbage is the conversion's doing.
        family: such judgements in one run. Each is made before the others are known, so each gets
            the share of `alpha` that Holm's procedure gives its first.
        alpha: probability of falsifying a sound model.
    """
    if false_alarm_rate is None:
        false_alarm_rate = upper_bound(ERROR_RATES.false_alarms, ERROR_RATES.sound)
    total, reasons = _garbage(generations, logprobs, special_tokens)
    compared = {"outputs": total}
    if not total:
        return inconclusive("There was no output to look at.", compared=compared)
    count = len(reasons)
    metrics = {"garbage_share": count / total}
    if not _is_too_much(count, total, false_alarm_rate, alpha / max(1, family)):
        return corroborated(
            f"{count} of {total} outputs look like garbage"
            + (f", which the detector's own errors explain: {reasons[0]}" if count else "."),
            compared,
            metrics=metrics,
        )
    return falsified(
        f"{count} of {total} outputs are garbage, for instance: {reasons[0]}",
        Attribution.CONVERSION if reference_holds else Attribution.MODEL,
        compared,
        expected=f"no more garbage than a false-alarm rate of {false_alarm_rate:.2g} explains",
        metrics=metrics,
    )


def _is_too_much(count: int, total: int, false_alarm_rate: float, alpha: float) -> bool:
    return count > 0 and (count == total or rate_exceeds(count, total, false_alarm_rate, alpha))


def _garbage(
    generations: Sequence[Generation],
    logprobs: Sequence[Sequence[float]],
    special_tokens: Collection[str],
) -> tuple[int, list[str]]:
    """Return how many outputs were looked at, and why those that are garbage are."""
    judged = 0
    reasons: list[str] = []
    for generation, of_reference in zip_longest(generations, logprobs[: len(generations)]):
        if generation.finish is FinishReason.REFUSED:
            continue
        judged += 1
        if any(not math.isfinite(value) for value in generation.logprobs or ()):
            reasons.append("the engine's log-probabilities are not finite.")
            continue
        report = inspect_text(
            generation.text,
            finish=generation.finish,
            logprobs=of_reference,
            special_tokens=special_tokens,
        )
        if report.is_garbage:
            reasons.append(f"{report.reasons[0]} in {generation.text[:60]!r}.")
    return judged, reasons
