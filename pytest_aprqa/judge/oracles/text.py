"""Oracles that look for given text: exact, contains, regex."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from pytest_aprqa.judge.oracles.oracle import (
    Case,
    Oracle,
    OracleAnswer,
    not_applicable,
    right,
    wrong,
)
from pytest_aprqa.judge.oracles.whole_words import folded, holds_word

NonEmpty = Annotated[str, StringConstraints(min_length=1)]

REGEX_SECONDS = 1.0
REGEX_TEXT = 20_000
REGEX_PATTERN = 1_000


class Exact(Oracle):
    """The answer is this text and nothing else, white space at its ends aside."""

    value: NonEmpty | tuple[NonEmpty, ...] = Field(description="The text, or the texts allowed")
    case_sensitive: bool = True

    def judge(self, case: Case) -> OracleAnswer:
        """Compare the whole answer."""
        allowed = (self.value,) if isinstance(self.value, str) else self.value
        expected = " or ".join(repr(value) for value in allowed)
        answer = case.answer.strip()
        for value in allowed:
            if self._folded(answer) == self._folded(value.strip()):
                return right(f"the answer is {value!r}", expected)
        return wrong(f"the answer is {_short(answer)}, not {expected}", expected)

    def _folded(self, text: str) -> str:
        return folded(text, case_sensitive=self.case_sensitive)


class Contains(Oracle):
    """The answer contains given words, as whole words: "4" is not in "14", nor "10" in "10.5".

    What a script without word spaces writes is looked for anywhere. Words are looked for, no more:
    "not Paris" contains Paris.
    """

    all: tuple[NonEmpty, ...] = Field(default=(), description="All of these must occur")
    any: tuple[NonEmpty, ...] = Field(default=(), description="At least one of these must occur")
    none: tuple[NonEmpty, ...] = Field(default=(), description="None of these may occur")
    case_sensitive: bool = False
    whole_words: bool = True

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if not (self.all or self.any or self.none):
            raise ValueError("give at least one of all, any, none")
        return self

    def judge(self, case: Case) -> OracleAnswer:
        """Look for the words."""
        expected = self._expected()
        for word in self.all:
            if not self._occurs(word, case.answer):
                return wrong(f"{word!r} is not in {_short(case.answer)}", expected)
        for word in self.none:
            if self._occurs(word, case.answer):
                return wrong(f"{word!r} is in {_short(case.answer)}", expected)
        found = [word for word in self.any if self._occurs(word, case.answer)]
        if self.any and not found:
            return wrong(f"none of {list(self.any)} is in {_short(case.answer)}", expected)
        return right(f"the answer holds {expected}", expected)

    def _expected(self) -> str:
        parts = [
            ("all of", self.all),
            ("any of", self.any),
            ("none of", self.none),
        ]
        return " and ".join(f"{how} {list(words)}" for how, words in parts if words)

    def _occurs(self, word: str, answer: str) -> bool:
        needle, hay = (folded(text, case_sensitive=self.case_sensitive) for text in (word, answer))
        return holds_word(hay, needle) if self.whole_words else needle in hay


class Regex(Oracle):
    """The answer matches a regular expression somewhere.

    The search ends after a second and looks at no more than 20 000 characters, so that a pattern
    which backtracks without end cannot stop a run.
    """

    pattern: Annotated[str, StringConstraints(min_length=1, max_length=REGEX_PATTERN)]
    ignore_case: bool = False
    full: bool = Field(default=False, description="The whole answer must match, ends stripped")

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        import regex

        try:
            regex.compile(pattern)
        except regex.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return pattern

    def judge(self, case: Case) -> OracleAnswer:
        """Search the answer."""
        import regex

        expected = f"a match of /{self.pattern}/"
        compiled = regex.compile(self.pattern, regex.IGNORECASE if self.ignore_case else 0)
        text = case.answer[:REGEX_TEXT]
        search = compiled.fullmatch if self.full else compiled.search
        try:
            match = search(text.strip() if self.full else text, timeout=REGEX_SECONDS)
        except TimeoutError:
            return not_applicable(
                f"/{self.pattern}/ did not come to an end within {REGEX_SECONDS:g} s"
            )
        if match is None:
            return wrong(f"/{self.pattern}/ does not match {_short(case.answer)}", expected)
        return right(f"/{self.pattern}/ matches {_short(match.group())}", expected)


def _short(text: str, most: int = 80) -> str:
    """Quote the beginning of a text for a reason."""
    return repr(text if len(text) <= most else text[:most] + "…")
