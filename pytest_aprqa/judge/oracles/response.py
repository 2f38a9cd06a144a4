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
SHORTEST_ECHO = 3  # words of a prompt; "Hello" may be answered with "Hello!"
LONGEST_REFUSAL = 40  # words; a longer answer goes on to say something
_WORD = re.compile(r"[^\W\d_]{3,}")
_FUNCTION_WORDS = """
the and for are was were you your what which who whom whose how why when where does did can could
would should will shall may might must has have had been being this that these those with from into
about than then there their them they its his her she him our not but some any all only just also
very much many more most other such one two three
please answer question tell give write explain describe say show make word words sentence sentences
"""
_EMPTY_WORDS = frozenset(_FUNCTION_WORDS.split())

_REFUSAL = re.compile(
    r"\W*(?:(?:(?:i['’]?m|i am)\s+(?:very\s+)?sorry|sorry|i apologi[sz]e|unfortunately|as an ai\b[^.,]*)"
    r"[,.;:]?\s+(?:but\s+)?)?"
    r"i(?:\s+(?:can(?:no|['’])?t|won['’]?t)|(?:\s+a|['’]?)m\s+(?:not\s+able|unable)\s+to)\s+"
    r"(?:help|assist|answer|provide|fulfil|comply|respond|discuss|do\s+that|complete|generate"
    r"|create|write|give|explain|tell)",
    re.IGNORECASE,
)


class Response(Oracle):
    """The answer speaks of what was asked.

    Relevance is the share of the prompt's content words (three letters or more, without function
    words and words like "explain") that the answer takes up, compared by their first five letters.
    Enough of it is right. Too little of it proves nothing, since a good answer may need none of the
    prompt's words: there the oracle does not apply. Wrong are only an empty answer, one that repeats
    the prompt, and a short refusal in English.
    """

    min_relevance: float = Field(
        default=0.1, ge=0.0, le=1.0, description="Least relevance that counts as right"
    )

    @property
    def role(self) -> Role:
        """To speak of the question is not yet to answer it."""
        return Role.WITNESS

    def judge(self, case: Case) -> OracleAnswer:
        """Look for what is no answer, then measure the relevance."""
        if flaw := _flaw(case.scenario.prompt, case.answer):
            return wrong(flaw, "an answer to the prompt")
        asked = set(_content(case.scenario.prompt))
        if not asked:
            return not_applicable("the prompt has no content words to take up")
        relevance = len(asked & set(_content(case.answer))) / len(asked)
        if relevance < self.min_relevance:
            return not_applicable(f"relevance {relevance:.2f}: too few shared words to tell")
        return right(
            f"relevance {relevance:.2f}", f"an answer with relevance {self.min_relevance:g} or more"
        )


def _flaw(prompt: str, answer: str) -> str:
    """Return why a text is no answer to anything, "" when it may be one."""
    asked, said = (re.findall(r"\w+", text.casefold()) for text in (prompt, answer))
    if not answer.strip():
        return "the answer is empty"
    times, rest = divmod(len(said), len(asked) or 1)
    if len(asked) >= SHORTEST_ECHO and times and not rest and said == asked * times:
        return "the answer repeats the prompt"
    if len(said) <= LONGEST_REFUSAL and _REFUSAL.match(answer):
        return "the answer is a refusal"
    return ""


def _content(text: str) -> list[str]:
    words = (word.casefold() for word in _WORD.findall(text))
    return [word[:STEM] for word in words if word not in _EMPTY_WORDS]
