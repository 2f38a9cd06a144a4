"""An oracle made of others."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pytest_aprqa.judge.oracles.oracle import Case, Oracle, OracleAnswer, Role, Ruling


class Mode(StrEnum):
    """How many of the members must say right."""

    ALL = "all"
    ANY = "any"


class Member(BaseModel):
    """One oracle of a composite, as a playbook gives it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: str
    config: dict[str, Any] = Field(default_factory=dict)

    def oracle(self) -> Oracle:
        """Make the oracle."""
        from pytest_aprqa.judge.oracles.registry import make_oracle

        return make_oracle(self.type, self.config)


class Composite(Oracle):
    """All, or any, of several oracles say right.

    Members that do not apply are left out; when none applies but those that only look for garbage,
    neither does the composite.
    """

    mode: Mode = Mode.ALL
    oracles: Annotated[tuple[Member, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _members_exist(self) -> Self:
        for member in self.oracles:
            member.oracle()
        return self

    @property
    def role(self) -> Role:
        """A guard when it is made of nothing else."""
        roles = {member.oracle().role for member in self.oracles}
        return Role.GUARD if roles == {Role.GUARD} else Role.JUDGE

    @property
    def needs_reference(self) -> bool:
        """Whether one of its members does."""
        return any(member.oracle().needs_reference for member in self.oracles)

    def judge(self, case: Case) -> OracleAnswer:
        """Ask the members."""
        answers = [answer for member in self.oracles if (answer := self._ask(member, case))]
        decisive = Ruling.WRONG if self.mode is Mode.ALL else Ruling.RIGHT
        other = Ruling.RIGHT if decisive is Ruling.WRONG else Ruling.WRONG
        for ruling in (decisive, other, Ruling.NOT_APPLICABLE):
            having = [answer for answer in answers if answer.ruling is ruling]
            if having:
                return OracleAnswer(
                    ruling,
                    "; ".join(answer.reason for answer in having),
                    self._expected([a for a in answers if a.ruling is not Ruling.NOT_APPLICABLE]),
                )
        raise AssertionError("a composite has a member that is no guard, or only guards")

    def _ask(self, member: Member, case: Case) -> OracleAnswer | None:
        """Return what a member says, None for a guard that has nothing to object."""
        oracle = member.oracle()
        answer = oracle.judge(case)
        silent = oracle.role is Role.GUARD and answer.ruling is Ruling.RIGHT
        return None if silent and self.role is not Role.GUARD else answer

    def _expected(self, answers: list[OracleAnswer]) -> str | None:
        join = " and " if self.mode is Mode.ALL else " or "
        return join.join(answer.expected for answer in answers if answer.expected) or None
