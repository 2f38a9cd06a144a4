"""What an oracle is: it sees a question and the model's text, and says right, wrong or neither."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from pytest_aprqa.observation import FinishReason, Generation
from pytest_aprqa.playbook.check import Scenario


class Ruling(StrEnum):
    """What an oracle says of an answer. Not applicable is never a pass."""

    RIGHT = "right"
    WRONG = "wrong"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class OracleAnswer:
    """A ruling with its reason.

    Attributes:
        ruling: right, wrong or not applicable.
        reason: one sentence naming what was seen.
        expected: what would have been right, in words; None where the oracle does not know.
    """

    ruling: Ruling
    reason: str
    expected: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """What is put before an oracle.

    Attributes:
        scenario: the question.
        answer: the model's text only, without its thinking; never a banner or a metric.
        finish: why the answer ended; LENGTH means that it was cut off.
        generation: the whole observation, for oracles that compare tokens.
        reference: the reference's answer to the same question, when there is one.
    """

    scenario: Scenario
    answer: str
    finish: FinishReason | None = None
    generation: Generation | None = None
    reference: Generation | None = None


class Oracle(BaseModel, ABC):
    """An oracle. Its fields are its configuration; a field it does not know is an error.

    A package adds its own by subclassing and naming the class in the entry-point group
    `pytest_aprqa.oracles`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @abstractmethod
    def judge(self, case: Case) -> OracleAnswer:
        """Judge one answer."""


def right(reason: str, expected: str | None = None) -> OracleAnswer:
    """Return that the answer is right."""
    return OracleAnswer(Ruling.RIGHT, reason, expected)


def wrong(reason: str, expected: str | None = None) -> OracleAnswer:
    """Return that the answer is wrong."""
    return OracleAnswer(Ruling.WRONG, reason, expected)


def not_applicable(reason: str) -> OracleAnswer:
    """Return that this oracle has nothing to say of the answer, and why."""
    return OracleAnswer(Ruling.NOT_APPLICABLE, reason)
