"""Oracle: the answer is not garbage, with a playbook's own limits on top of the general check."""

from __future__ import annotations

from collections import Counter

from pydantic import Field

from pytest_aprqa.judge.garbage import inspect_text
from pytest_aprqa.judge.oracles.oracle import Case, Oracle, OracleAnswer, Role, right, wrong

LEAST_WORDS = 12  # of an answer whose share of one word means something
LEAST_CHARACTERS = 40  # of an answer whose variety of characters means something


class Garbage(Oracle):
    """The answer is not garbage.

    Beside other oracles it only objects: an answer they cannot judge does not pass for it.
    The two limits speak of answers long enough for them: "4" has one character and consists of one
    word, and is a good answer.
    """

    max_repetition_ratio: float = Field(
        default=1.0,
        gt=0.0,
        le=1.0,
        description=f"Largest share of one word in an answer of {LEAST_WORDS} words or more",
    )
    min_unique_chars: int = Field(
        default=0,
        ge=0,
        description="Fewest different characters, white space aside, in an answer of "
        f"{LEAST_CHARACTERS} or more",
    )

    @property
    def role(self) -> Role:
        """Not to be garbage makes no answer right."""
        return Role.GUARD

    def judge(self, case: Case) -> OracleAnswer:
        """Inspect the text."""
        expected = "an answer that is not garbage"
        report = inspect_text(case.answer, finish=case.finish, prompt=case.scenario.prompt)
        if report.kinds:
            return wrong("; ".join(report.reasons), expected)
        words = case.answer.split()
        if len(words) >= LEAST_WORDS:
            word, count = Counter(words).most_common(1)[0]
            if count / len(words) > self.max_repetition_ratio:
                return wrong(
                    f"{word!r} is {count} of {len(words)} words, more than "
                    f"{self.max_repetition_ratio:.0%}",
                    expected,
                )
        characters = "".join(words)
        distinct = len(set(characters))
        if len(characters) >= LEAST_CHARACTERS and distinct < self.min_unique_chars:
            return wrong(
                f"only {distinct} different characters, fewer than {self.min_unique_chars}",
                expected,
            )
        return right("the answer is not garbage", expected)
