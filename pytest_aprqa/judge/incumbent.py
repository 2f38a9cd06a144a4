"""The model's text in what a command-line program printed, and what that text is worth.

Evidence of other certifiers keeps the whole output of a program: colours, banners, settings, rates,
and now and then an answer. Their verdicts were given on all of it together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pytest_aprqa.judge.answer import judge_answer, without_thinking
from pytest_aprqa.judge.garbage import inspect_text
from pytest_aprqa.judge.judgement import Judgement, corroborated, inconclusive
from pytest_aprqa.judge.oracles import Case, Ruling, make_oracle
from pytest_aprqa.observation import FinishReason, Generation
from pytest_aprqa.playbook.check import Scenario
from pytest_aprqa.playbook.judges import Judges
from pytest_aprqa.playbook.matrix import Prompt
from pytest_aprqa.words import Attribution

NO_TEXT = "empty: no text of a model was recorded"

_STEERING = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC: titles, links
    r"|\x1b[@-Z\\-_]"
)
"""Terminal control sequences of ECMA-48."""

_TEXT_KEYS = ("text", "generated_text", "completion", "response", "content", "output")
"""Where servers and programs put the answer in a JSON object."""

_BANNER = re.compile(
    r"===.*===|[═─]{8,}|Source: .*|model: .*|Model: .*|tokens: \d+|tok/s: .*|latency: [\d.]+ ?ms"
    r"|Generated \d+ tokens .*|Completed in .*|Loading model.*|Loaded .*|Detected .* chat template"
    r"|Using .* (?:format|mmap|engine).*|\[(?:APR|GGUF|SafeTensors) CUDA.*|Note: Using .*"
)
"""Lines that programs print around an answer."""

_CHAT = re.compile(r"^===.*\bChat\b.*===", re.MULTILINE)
_TURN = re.compile(r"^You: ?Assistant: ?", re.MULTILINE)
_REPLY = re.compile(r"^Assistant: ?", re.MULTILINE)
_FAREWELL = re.compile(r"\s*^You: *\n(?:Goodbye!)?\s*\Z", re.MULTILINE)
_NO_TURN = re.compile(r"^You: *\n(?:Goodbye!)?\s*\Z", re.MULTILINE)
_OUTPUT = "Output:"
_COMPLETED = re.compile(r"\s*^Completed in [\d.]+ ?m?s.*\Z", re.MULTILINE | re.DOTALL)
_END_OF_PROMPT = re.compile(r"(?P<end>[^\n]{1,200}?)\s*\[/(?:s|INST)\]")
_ERROR = re.compile(r"\[Error: .*\]", re.DOTALL)


def model_text(printed: str, prompt: str = "") -> str:
    """Return the model's text in what a program printed, or an empty string.

    Knows JSON answers, event streams, chat transcripts and one-shot runs between banners. A prompt
    that is repeated before the answer, and a program's own error message, are not the model's text.

    Args:
        printed: standard output of the program, or the body of a server's answer.
        prompt: what was asked.
    """
    plain = _STEERING.sub("", printed).replace("\r\n", "\n")
    wrapped = _unwrapped(plain)
    text = _between_banners(plain) if wrapped is None else wrapped
    if _ERROR.fullmatch(text.strip()):
        return ""
    text = _without_echo(text, prompt.strip())
    return text if text.strip() else ""


def judge_printed(prompt: str, printed: str) -> Judgement:
    """Judge what a program printed in answer to a prompt.

    A prompt with one right answer is judged by it: text that states the answer stands, whatever
    the model went on to say; that it went on with garbage is told in the reason. Any other prompt
    asks no more than text that is not garbage.

    Returns:
        Inconclusive with the reason `NO_TEXT` when no text was recorded.
    """
    text = model_text(printed, prompt)
    if not text:
        return inconclusive(NO_TEXT, Attribution.ENVIRONMENT)
    scenario = Scenario(name="recorded", prompt=prompt, oracles=_oracles(prompt))
    generation = Generation(text=text, finish=FinishReason.LENGTH)
    return _right_answer(scenario, generation) or judge_answer(scenario, generation)


def _oracles(prompt: str) -> tuple[Any, ...]:
    return Judges(()).of_prompt(Prompt(prompt=prompt)) if prompt.strip() else ()


def _right_answer(scenario: Scenario, generation: Generation) -> Judgement | None:
    """Return the pass of a text that states the right answer, None when no oracle says so."""
    case = Case(scenario, without_thinking(generation.text), generation.finish)
    for spec in scenario.oracles:
        if spec.type != "arithmetic":
            continue
        answer = make_oracle(spec.type, spec.config).judge(case)
        if answer.ruling is Ruling.RIGHT:
            flaws = inspect_text(generation.text, prompt=scenario.prompt).reasons
            also = f"; but {'; '.join(flaws)}" if flaws else ""
            return corroborated(answer.reason + also, {"prompts": 1}, expected=answer.expected)
    return None


def _without_echo(text: str, prompt: str) -> str:
    """Take away the prompt, or its end with the template's marker, that is repeated in front."""
    echoed = text.lstrip()
    if prompt and echoed.startswith(prompt):
        return echoed.removeprefix(prompt)
    marker = _END_OF_PROMPT.match(echoed)
    if marker and prompt.endswith(marker["end"].rstrip()):
        return echoed[marker.end() :]
    return text


def _unwrapped(printed: str) -> str | None:
    """Return the answer in a JSON object or an event stream; None when it is neither."""
    stripped = printed.strip()
    if stripped.startswith("data:"):
        events = (line.removeprefix("data:") for line in stripped.splitlines())
        return "".join(_answer_in(value) for value in _objects(events))
    values = list(_objects([stripped]))
    return _answer_in(values[0]) if values else None


def _objects(texts: Iterable[str]) -> Iterable[Mapping[str, Any]]:
    """Yield those of the texts that are JSON objects."""
    for text in texts:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value


def _answer_in(value: Mapping[str, Any]) -> str:
    choices = value.get("choices")
    holders = [value, value.get("message"), value.get("delta")]
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        holders += [choices[0], choices[0].get("message"), choices[0].get("delta")]
    for holder in holders:
        for key in _TEXT_KEYS if isinstance(holder, dict) else ():
            if isinstance(holder, dict) and isinstance(holder.get(key), str):
                return str(holder[key])
    return ""


def _between_banners(printed: str) -> str:
    turn = _TURN.search(printed)
    if turn is None and _CHAT.search(printed):
        turn = _REPLY.search(printed)
    if turn:
        return _FAREWELL.sub("", printed[turn.end() :])
    lines = printed.split("\n")
    while lines and _is_banner(lines[0]):
        del lines[0]
    if lines and lines[0].startswith(_OUTPUT):
        text = "\n".join([lines[0].removeprefix(_OUTPUT), *lines[1:]])
        return _COMPLETED.sub("", text).removeprefix("\n")
    while lines and _is_banner(lines[-1]):
        del lines[-1]
    rest = "\n".join(lines)
    return "" if _NO_TURN.search(rest) and _CHAT.search(printed) else rest


def _is_banner(line: str) -> bool:
    stripped = line.strip()
    if not stripped or _BANNER.fullmatch(stripped):
        return True
    found = next(iter(_objects([stripped])), None)
    return found is not None and not _answer_in(found)
