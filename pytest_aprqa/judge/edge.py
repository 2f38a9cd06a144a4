"""Judging edge cases: does the engine cope with an unusual prompt?

What a model says to an empty prompt, or to ten thousand words, is no matter; a sound small model
says odd things. That the text comes out undamaged, that no marker of the template leaks and that
nobody else's turn begins, is what every sound model and engine keep to.
"""

from __future__ import annotations

import re
from enum import StrEnum

from pytest_aprqa.judge.garbage_damage import find_damage
from pytest_aprqa.judge.garbage_leak import find_leak
from pytest_aprqa.judge.judgement import Judgement, corroborated, falsified, inconclusive
from pytest_aprqa.observation import FinishReason, Generation
from pytest_aprqa.playbook.check import Scenario
from pytest_aprqa.words import Attribution


class EdgeKind(StrEnum):
    """The kinds of edge case."""

    EMPTY = "empty"
    BLANK = "blank"
    ONE_TOKEN = "one-token"
    TOO_LONG = "too-long"
    UNICODE = "unicode"
    CONTROL_CHARACTERS = "control-characters"
    SPECIAL_TOKENS = "special-tokens"
    CODE = "code"
    RIGHT_TO_LEFT = "right-to-left"


# A prompt without content, or past the context, may be declined as long as the engine says why.
_MAY_DECLINE = frozenset(
    {EdgeKind.EMPTY, EdgeKind.BLANK, EdgeKind.TOO_LONG, EdgeKind.CONTROL_CHARACTERS}
)
# To these the end of the turn, and no word, is a fair answer.
_MAY_SAY_NOTHING = frozenset(
    {
        EdgeKind.EMPTY,
        EdgeKind.BLANK,
        EdgeKind.ONE_TOKEN,
        EdgeKind.TOO_LONG,
        EdgeKind.CONTROL_CHARACTERS,
        EdgeKind.SPECIAL_TOKENS,
    }
)
# What is left of a template's turn marker when the engine keeps its special tokens out of the text.
_TURN = re.compile(r"(?m)^(?:user|assistant|system|model)[ \t]*$")
_EXPECTED = "an undamaged answer that stays in its turn"


def judge_edge(
    scenario: Scenario,
    generation: Generation,
    prompt_fault: str = "",
    reference: Generation | None = None,
) -> Judgement:
    """Judge how an edge case was coped with.

    Args:
        scenario: the edge case; `edge` names its kind (see `EdgeKind`), any other name is held to
            the rules that all kinds share.
        generation: what came of it.
        prompt_fault: how the prompt that reached the model was not the one that was asked, or "".
        reference: the reference's answer to the same; it decides whether a damaged one is the
            conversion's doing (the reference passes the same judging) or the model's own.

    Returns:
        Corroborated: an answer, or a clear refusal where the kind allows one. Falsified: another
        prompt, damaged text, a leaked marker, a broken turn. Inconclusive: declined, or silent, where an answer
        was due.
    """
    kind = EdgeKind(scenario.edge) if scenario.edge in set(EdgeKind) else None
    if generation.finish is FinishReason.REFUSED:
        return _judge_refusal(kind, generation)
    compared = {"prompts": 1, "characters": len(generation.text)}
    if prompt_fault:
        return falsified(
            prompt_fault, Attribution.ENGINE, compared, expected="the prompt as it was asked"
        )
    if reason := _fault(kind, scenario, generation):
        sound = reference is not None and judge_edge(scenario, reference).outcome.passes
        attribution = Attribution.CONVERSION if sound else Attribution.MODEL
        return falsified(reason, attribution, compared, expected=_EXPECTED)
    if generation.text.strip():
        return corroborated("an undamaged answer", compared, expected=_EXPECTED)
    if kind in _MAY_SAY_NOTHING and generation.finish is FinishReason.STOP:
        return corroborated("the turn was ended without a word", compared, expected=_EXPECTED)
    return inconclusive("the answer is empty; there is nothing to look at", compared=compared)


def _judge_refusal(kind: EdgeKind | None, generation: Generation) -> Judgement:
    expected = "an answer" if kind not in _MAY_DECLINE else "an answer or a clear refusal"
    if kind in _MAY_DECLINE and generation.refusal.strip():
        return corroborated(f"declined: {generation.refusal}", {"prompts": 1}, expected=expected)
    words = generation.refusal or "without saying why"
    return inconclusive(f"the engine declined: {words}", Attribution.ENGINE, expected=expected)


def _fault(kind: EdgeKind | None, scenario: Scenario, generation: Generation) -> str | None:
    text, cut_off = generation.text, generation.finish is FinishReason.LENGTH
    if reason := find_damage(text, scenario.prompt, cut_off=cut_off):
        return reason
    if reason := find_leak(text, scenario.prompt):
        return reason
    if kind is EdgeKind.SPECIAL_TOKENS and (turn := _TURN.search(text)):
        role = turn.group().strip()
        if role not in scenario.prompt:
            return f"the turn was broken: another one, of {role!r}, begins in the answer"
    return None
