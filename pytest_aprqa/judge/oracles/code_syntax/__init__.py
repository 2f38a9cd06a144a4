"""The oracle for code: does it parse?"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, field_validator

from pytest_aprqa.judge.oracles.code_syntax import json_code, python_code, tree_sitter_code
from pytest_aprqa.judge.oracles.code_syntax.syntax import Source, Syntax, Verdict
from pytest_aprqa.judge.oracles.fences import fenced_blocks
from pytest_aprqa.judge.oracles.oracle import (
    Case,
    Oracle,
    OracleAnswer,
    not_applicable,
    right,
    wrong,
)
from pytest_aprqa.observation import FinishReason

_ALIASES = {
    "py": "python",
    "python3": "python",
    "js": "javascript",
    "node": "javascript",
    "ts": "typescript",
    "rs": "rust",
    "golang": "go",
    "c++": "cpp",
    "sh": "bash",
}
# A prompt that is itself the beginning of code.
_STEMS: dict[str, re.Pattern[str]] = {
    "python": re.compile(
        r"^\s*(?:async\s+)?(?:def|class)\s+\w+.*:?\s*$|^\s*(?:from|import)\s+\w", re.MULTILINE
    ),
    "rust": re.compile(r"^\s*(?:pub\s+)?(?:fn|struct|enum|impl|trait|use)\s+\w", re.MULTILINE),
    "javascript": re.compile(
        r"^\s*(?:export\s+)?(?:async\s+)?function\b|^\s*(?:const|let|var)\s+\w+\s*=", re.MULTILINE
    ),
    "go": re.compile(r"^\s*(?:func|package)\s+\w", re.MULTILINE),
    "json": re.compile(r"^\s*[\[{]"),
}
_TALK = re.compile(
    r"\b(?:code|function|program|script|method|class|implement|snippet|object)\b", re.IGNORECASE
)
_NAMES = {
    "python": r"python",
    "rust": r"rust",
    "javascript": r"javascript|node\.?js",
    "typescript": r"typescript",
    "go": r"golang|go (?:function|program|code)|in go\b",
    "json": r"json",
    "java": r"java\b",
    "c": r"\bc (?:function|program|code)|in c\b",
    "cpp": r"c\+\+",
    "bash": r"bash|shell",
}


class CodeSyntax(Oracle):
    """The answer is code that parses.

    Python is parsed by Python, JSON by the JSON parser, any other language by tree-sitter when
    the package `tree-sitter-<language>` is installed; without a parser the oracle does not apply.
    An answer that was cut off may end in an unfinished statement, never contain a broken one; when
    it ends before anything can be said, the oracle does not apply. When the prompt holds the
    beginning of the code, that and the answer are parsed as one text.
    """

    languages: Annotated[tuple[str, ...], Field(min_length=1)] = ("python",)

    @field_validator("languages")
    @classmethod
    def _named_as_usual(cls, languages: tuple[str, ...]) -> tuple[str, ...]:
        if bad := [name for name in languages if not re.fullmatch(r"[A-Za-z+#_0-9]+", name)]:
            raise ValueError(f"{bad[0]!r} is not the name of a language")
        return tuple(_usual_name(name) for name in languages)

    def judge(self, case: Case) -> OracleAnswer:
        """Find the code in the answer and parse it."""
        sources = self._sources(case)
        if isinstance(sources, str):
            return not_applicable(sources)
        verdicts = [_parse(source) for source in sources]
        best = min(verdicts, key=lambda verdict: _PREFERENCE.index(verdict.syntax))
        expected = f"{sources[0].language} that parses"
        if best.syntax is Syntax.VALID:
            return right(best.reason, expected)
        if best.syntax is Syntax.UNKNOWN:
            return not_applicable(best.reason)
        return wrong(best.reason, expected)

    def _sources(self, case: Case) -> list[Source] | str:
        """Return the readings of the answer as code, or why there are none."""
        cut_off = case.finish is FinishReason.LENGTH
        prompt = case.scenario.prompt
        asked = self._asked_language(prompt)
        blocks = [b for b in fenced_blocks(case.answer) if b.body.strip()]
        if blocks:
            block = next((b for b in blocks if _usual_name(b.language) == asked), blocks[0])
            language = _usual_name(block.language) or asked
            if language not in self.languages:
                return f"the answer's code is {language or 'of no known language'}, not asked for"
            return [Source(language, "", block.body, cut_off and not block.closed)]
        if asked is None:
            return "the prompt does not ask for code in a language of this oracle"
        return _readings(asked, prompt, case.answer, cut_off)

    def _asked_language(self, prompt: str) -> str | None:
        """Return the language of this oracle the prompt begins in or names."""
        for language in self.languages:
            if language in _STEMS and _STEMS[language].search(prompt):
                return language
        named = [
            language
            for language in self.languages
            if re.search(_NAMES.get(language, rf"\b{re.escape(language)}\b"), prompt, re.IGNORECASE)
        ]
        if len(named) == 1:
            return named[0]
        return self.languages[0] if len(self.languages) == 1 and _TALK.search(prompt) else None


_PREFERENCE = (Syntax.VALID, Syntax.UNKNOWN, Syntax.INVALID)
"""One reading that may be right is enough: all but one are guesses at what the model meant."""


def _readings(language: str, prompt: str, answer: str, cut_off: bool) -> list[Source]:
    """Return what the code of an answer without fences can be.

    It goes on where the prompt's code ends, or stands there whole, or after some words about it.
    """
    whole = Source(language, "", answer, cut_off)
    stem = _STEMS.get(language)
    begun = stem.search(prompt) if stem else None
    if stem is None or begun is None:
        return [whole]
    readings = [Source(language, prompt[begun.start() :].lstrip("\n"), answer, cut_off), whole]
    told = stem.search(answer)
    if told and answer[: told.start()].strip():
        readings.append(Source(language, "", answer[told.start() :], cut_off))
    return readings


def _usual_name(language: str) -> str:
    return _ALIASES.get(language.lower(), language.lower())


def _parse(source: Source) -> Verdict:
    if source.language == "python":
        return python_code.parse(source)
    if source.language == "json":
        return json_code.parse(source)
    return tree_sitter_code.parse(source)
