"""What an oracle is: it sees a question and the model's text, and says right, wrong or neither."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
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


class Role(StrEnum):
    """What an oracle's word is worth beside that of others."""

    JUDGE = "judge"
    """Says whether the answer is right; where it cannot, nothing else makes up for it."""

    WITNESS = "witness"
    """Says something about the answer; where it cannot, a judge's word is enough."""

    GUARD = "guard"
    """Only objects: that it finds nothing is a pass where nothing else is asked."""


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

    @property
    def role(self) -> Role:
        """What its word is worth beside that of others; a judge unless it says otherwise."""
        return Role.JUDGE

    @property
    def needs_reference(self) -> bool:
        """Whether it can say nothing without the reference's answer."""
        return False

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


def left_open(asked: Sequence[tuple[Role, OracleAnswer]]) -> list[OracleAnswer]:
    """Return what leaves a question unjudged although no oracle objects.

    That is every judge that does not apply, and every witness where none but guards apply.
    """
    spoken = any(
        role is not Role.GUARD and answer.ruling is not Ruling.NOT_APPLICABLE
        for role, answer in asked
    )
    return [
        answer
        for role, answer in asked
        if answer.ruling is Ruling.NOT_APPLICABLE and (role is Role.JUDGE or not spoken)
    ]
