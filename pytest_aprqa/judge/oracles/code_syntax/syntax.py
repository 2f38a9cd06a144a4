"""What the parsers are given and what they say."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Syntax(Enum):
    """Whether code parses; idle when it does and says nothing, unknown when nothing can tell."""

    VALID = auto()
    UNKNOWN = auto()
    IDLE = auto()
    INVALID = auto()


@dataclass(frozen=True, slots=True)
class Source:
    """Code to parse.

    Attributes:
        language: lower-case usual name, for instance "python".
        stem: beginning of the code that the model was given; "" when it wrote all of it.
        completion: what the model wrote.
        cut_off: whether the generation ended at its token limit.
    """

    language: str
    stem: str
    completion: str
    cut_off: bool

    @property
    def text(self) -> str:
        """The code as one text."""
        return self.stem + self.completion


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a parser says, with one sentence why."""

    syntax: Syntax
    reason: str
