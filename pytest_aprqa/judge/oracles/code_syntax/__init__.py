"""The oracle for code: does it parse?"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, field_validator

from pytest_aprqa.judge.oracles.code_syntax import json_code, python_code, tree_sitter_code
from pytest_aprqa.judge.oracles.code_syntax.languages import (
    asked_for,
    begun_in,
    named_in,
    usual_name,
)
from pytest_aprqa.judge.oracles.code_syntax.readings import fenced, unfenced
from pytest_aprqa.judge.oracles.code_syntax.syntax import Source, Syntax, Verdict
from pytest_aprqa.judge.oracles.fences import Block, fenced_blocks
from pytest_aprqa.judge.oracles.oracle import (
    Case,
    Oracle,
    OracleAnswer,
    not_applicable,
    right,
    wrong,
)
from pytest_aprqa.observation import FinishReason

_TALK = re.compile(
    r"\b(?:code|function|program|script|method|class|implement|snippet|object)\b", re.IGNORECASE
)


class CodeSyntax(Oracle):
    """The answer is code that parses.

    Python is parsed by Python, JSON by the JSON parser, any other language by tree-sitter when
    the package `tree-sitter-<language>` is installed; without a parser the oracle does not apply.
    An answer that was cut off may end in an unfinished statement, never contain a broken one; when
    it ends before anything can be said, the oracle does not apply. When the prompt holds the
    beginning of the code, that and the answer are parsed as one text. Words around the code are
    left out; of several fenced blocks in the language all must parse. A prompt that names, or
    begins in, a language which is not among `languages` is not judged.
    """

    languages: Annotated[tuple[str, ...], Field(min_length=1)] = ("python",)

    @field_validator("languages")
    @classmethod
    def _named_as_usual(cls, languages: tuple[str, ...]) -> tuple[str, ...]:
        if bad := [name for name in languages if not re.fullmatch(r"[A-Za-z+#_0-9]+", name)]:
            raise ValueError(f"{bad[0]!r} is not the name of a language")
        return tuple(usual_name(name) for name in languages)

    def judge(self, case: Case) -> OracleAnswer:
        """Find the code in the answer and parse it."""
        blocks = [block for block in fenced_blocks(case.answer) if block.body.strip()]
        prompt = case.scenario.prompt
        asked = asked_for(prompt, self.languages)
        language = asked or self._assumed(prompt, blocks)
        if language is None:
            return not_applicable("the prompt does not ask for code in a language of this oracle")
        if language not in self.languages:
            return not_applicable(f"the code is {language}, not {' or '.join(self.languages)}")
        sources = _sources(case, language, blocks)
        if not sources:
            return not_applicable(f"the answer's code is {blocks[0].language}, not {language}")
        verdicts = [_parse(source) for source in sources]
        verdict = _all(verdicts) if blocks else min(verdicts, key=_preference)
        if asked is None and language not in (*_labels(blocks), *begun_in(case.answer)):
            verdict = _if_valid(verdict, language)
        return _ruling(verdict, language)

    def _assumed(self, prompt: str, blocks: list[Block]) -> str | None:
        """Return the language of an answer to a prompt that names none, or several of ours."""
        named = named_in(prompt, self.languages)
        if not set(named) <= set(self.languages):
            return None
        if labels := _labels(blocks):
            return next((label for label in labels if label in self.languages), labels[0])
        return self.languages[0] if len(self.languages) == 1 and _TALK.search(prompt) else None


def _labels(blocks: list[Block]) -> list[str]:
    return [usual_name(block.language) for block in blocks if block.language]


def _sources(case: Case, language: str, blocks: list[Block]) -> list[Source]:
    cut_off = case.finish is FinishReason.LENGTH
    if blocks:
        return fenced(blocks, language, cut_off)
    return unfenced(language, case.scenario.prompt, case.answer, cut_off)


def _if_valid(verdict: Verdict, language: str) -> Verdict:
    """Return a verdict on what may not be code at all, or not in this language."""
    if verdict.syntax is Syntax.VALID:
        return verdict
    return Verdict(Syntax.UNKNOWN, f"the prompt names no language, and the answer is no {language}")


def _ruling(verdict: Verdict, language: str) -> OracleAnswer:
    expected = f"{language} that parses"
    if verdict.syntax is Syntax.VALID:
        return right(verdict.reason, expected)
    if verdict.syntax is Syntax.UNKNOWN:
        return not_applicable(verdict.reason)
    return wrong(verdict.reason, expected)


def _all(verdicts: list[Verdict]) -> Verdict:
    """Return what several blocks amount to: the first that breaks, or else the best."""
    broken = (verdict for verdict in verdicts if verdict.syntax is Syntax.INVALID)
    return next(broken, min(verdicts, key=_preference))


def _preference(verdict: Verdict) -> int:
    """One reading that may be right is enough: all but one are guesses at what the model meant."""
    return verdict.syntax.value


def _parse(source: Source) -> Verdict:
    if source.language == "python":
        return python_code.parse(source)
    if source.language == "json":
        return json_code.parse(source)
    return tree_sitter_code.parse(source)
