"""Judging an answer: garbage first, then what the oracles say, then whose doing a failure is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from pytest_aprqa.judge.garbage import inspect_text
from pytest_aprqa.judge.judgement import Judgement, corroborated, falsified, inconclusive
from pytest_aprqa.judge.oracles import Case, OracleAnswer, Role, Ruling, left_open, make_oracle
from pytest_aprqa.observation import FinishReason, Generation
from pytest_aprqa.playbook.check import OracleSpec, Scenario
from pytest_aprqa.words import Attribution

_THINK, _THOUGHT = "<think>", "</think>"
_THINKING = re.compile(rf"\A\s*(?:{_THINK})?.*?{_THOUGHT}", re.DOTALL)


def judge_answer(
    scenario: Scenario, generation: Generation, reference: Generation | None = None
) -> Judgement:
    """Judge what a model answered.

    Args:
        scenario: the question and its oracles; all that apply must say right.
        generation: the answer.
        reference: the reference's answer to the same question; it decides whether a wrong answer
            is the conversion's doing (the reference passes the same judging) or the model's own.

    Returns:
        Corroborated: no garbage, and the oracles say right. Falsified: garbage, or an oracle says
        wrong, or the model ended without an answer after its thinking, or the engine declined what
        the reference answers. Inconclusive: the engine declined, or the answer was cut off while
        the model was thinking, or an oracle that was to say whether it is right does not apply.

    Raises:
        OracleError: the scenario names an oracle that does not exist or its configuration is bad.
    """
    if generation.finish is FinishReason.REFUSED:
        return _judge_refusal(generation, reference)
    compared = _compared(generation)
    if reason := _garbage(scenario, generation):
        return falsified(
            reason,
            _attribute(scenario, reference),
            compared,
            expected="an answer that is not garbage",
        )
    if thinking := _only_thought(generation):
        if generation.finish is FinishReason.LENGTH:
            return inconclusive(f"{thinking}; it was cut off at its token limit", compared=compared)
        return falsified(
            thinking, _attribute(scenario, reference), compared, expected="an answer after thinking"
        )
    if not scenario.oracles:
        return corroborated(
            "the answer is not garbage; nothing more was asked of it",
            compared,
            expected="an answer that is not garbage",
        )
    asked = _consult(scenario, generation, reference)
    return _conclude(scenario, asked, compared, reference)


def judge_beside(
    scenario: Scenario, generation: Generation, reference: Callable[[], Generation | None]
) -> Judgement:
    """Judge an answer, asking for the reference's only where it matters.

    It does where the answer fails, and where an oracle compares with it.
    """
    judgement = judge_answer(scenario, generation)
    if judgement.outcome.fails or any(_needs_reference(spec) for spec in scenario.oracles):
        known = reference()
        return judgement if known is None else judge_answer(scenario, generation, known)
    return judgement


def _needs_reference(spec: OracleSpec) -> bool:
    return make_oracle(spec.type, spec.config).needs_reference


def _only_thought(generation: Generation) -> str:
    """Return how a model never came from thinking to an answer; "" when it did.

    A template may open the thinking itself: then the text does not begin with its marker.
    """
    begun = (generation.rendered_prompt or "").rstrip().endswith(_THINK)
    if (begun or generation.text.lstrip().startswith(_THINK)) and _THOUGHT not in generation.text:
        return "the model was still thinking when its text ended, and gave no answer"
    if not without_thinking(generation.text).strip():
        return "the model gave no answer after its thinking"
    return ""


def _judge_refusal(generation: Generation, reference: Generation | None) -> Judgement:
    words = generation.refusal or "no reason given"
    if reference is None or reference.finish is FinishReason.REFUSED:
        return inconclusive(f"the engine declined the question: {words}", Attribution.ENGINE)
    return falsified(
        f"the engine declined what the reference answers: {words}",
        Attribution.CONVERSION,
        {"prompts": 1},
        expected="an answer, as the reference gives one",
    )


def _conclude(
    scenario: Scenario,
    asked: list[tuple[Role, OracleAnswer]],
    compared: dict[str, int],
    reference: Generation | None,
) -> Judgement:
    applying = [a for _, a in asked if a.ruling is not Ruling.NOT_APPLICABLE]
    compared = {**compared, "oracles": len(applying)}
    expected = " and ".join(a.expected for a in applying if a.expected) or None
    wrongs = [answer.reason for answer in applying if answer.ruling is Ruling.WRONG]
    if wrongs:
        return falsified(
            "; ".join(wrongs), _attribute(scenario, reference), compared, expected=expected
        )
    if silent := left_open(asked):
        return inconclusive("; ".join(a.reason for a in silent), compared=compared)
    return corroborated("; ".join(a.reason for a in applying), compared, expected=expected)


def _consult(
    scenario: Scenario, generation: Generation, reference: Generation | None
) -> list[tuple[Role, OracleAnswer]]:
    case = Case(
        scenario=scenario,
        answer=without_thinking(generation.text),
        finish=generation.finish,
        generation=generation,
        reference=reference,
    )
    return [_ask(spec, case) for spec in scenario.oracles]


def _ask(spec: OracleSpec, case: Case) -> tuple[Role, OracleAnswer]:
    oracle = make_oracle(spec.type, spec.config)
    answer = oracle.judge(case)
    if answer.ruling is Ruling.NOT_APPLICABLE:
        answer = replace(answer, reason=f"{spec.type} does not apply: {answer.reason}")
    return oracle.role, answer


def _attribute(scenario: Scenario, reference: Generation | None) -> Attribution:
    """Say whose doing a wrong answer is: the conversion's when the reference passes."""
    if reference is None:
        return Attribution.MODEL
    alone = tuple(spec for spec in scenario.oracles if not _needs_reference(spec))
    passes = judge_answer(replace(scenario, oracles=alone), reference).outcome.passes
    return Attribution.CONVERSION if passes else Attribution.MODEL


def _garbage(scenario: Scenario, generation: Generation) -> str:
    # Not the rendered prompt: the template's own markers in the answer are a leak.
    asked = [scenario.system or "", *(turn.content for turn in scenario.history), scenario.prompt]
    report = inspect_text(generation.text, finish=generation.finish, prompt="\n".join(asked))
    return "; ".join(report.reasons)


def _compared(generation: Generation) -> dict[str, int]:
    tokens = len(generation.token_ids) if generation.token_ids is not None else None
    if tokens is None and generation.usage is not None:
        tokens = generation.usage.completion_tokens
    return {"prompts": 1} if tokens is None else {"prompts": 1, "tokens": tokens}


def without_thinking(text: str) -> str:
    """Return the answer after a reasoning model's `<think>...</think>`.

    Text without one, and one that never ends its thinking, come back as they are.
    """
    return _THINKING.sub("", text, count=1)
