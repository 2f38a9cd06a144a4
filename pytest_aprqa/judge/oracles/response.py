"""Oracle: the answer speaks of what was asked."""

from __future__ import annotations

import re

from pydantic import Field

from pytest_aprqa.judge.oracles.oracle import (
    Case,
    Oracle,
    OracleAnswer,
    Role,
    not_applicable,
    right,
    wrong,
)

STEM = 5  # letters by which "calculate" and "calculation" are one word
LEAST_WORDS = 8  # content words an answer needs; "Paris." shares no word with its question
_WORD = re.compile(r"[^\W\d_]{3,}")
_FUNCTION_WORDS = """
the and for are was were you your what which who whom whose how why when where does did can could
would should will shall may might must has have had been being this that these those with from into
about than then there their them they its his her she him our not but some any all only just also
very much many more most other such one two three
please answer question tell give write explain describe say show make word words sentence sentences
"""
_EMPTY_WORDS = frozenset(_FUNCTION_WORDS.split())


class Response(Oracle):
    """The answer is relevant to the prompt.

    Relevance is the share of the prompt's content words (three letters or more, without function
    words and words like "explain") that the answer takes up, compared by their first five letters.
    It is a lexical measure: it tells an answer to another question from an answer to this one, no
    more. Answers of fewer than eight content words say too little for it, and prompts in scripts
    without word spaces cannot be cut into words; there it does not apply.
    """

    min_relevance: float = Field(default=0.1, ge=0.0, le=1.0, description="Least relevance")

    @property
    def role(self) -> Role:
        """To speak of the question is not yet to answer it."""
        return Role.WITNESS

    def judge(self, case: Case) -> OracleAnswer:
        """Measure the relevance."""
        asked = _content(case.scenario.prompt)
        said = _content(case.answer)
        if not asked:
            return not_applicable("the prompt has no content words to take up")
        if not case.answer.strip():
            return wrong("the answer is empty", "an answer to the prompt")
        if len(said) < LEAST_WORDS:
            return not_applicable(f"an answer of {len(said)} content words is too short to measure")
        taken_up = set(asked) & set(said)
        relevance = len(taken_up) / len(set(asked))
        expected = f"an answer with relevance {self.min_relevance:g} or more"
        if relevance >= self.min_relevance:
            return right(f"relevance {relevance:.2f}", expected)
        return wrong(f"relevance {relevance:.2f}: the answer speaks of something else", expected)


def _content(text: str) -> list[str]:
    words = (word.casefold() for word in _WORD.findall(text))
    return [word[:STEM] for word in words if word not in _EMPTY_WORDS]
