"""How a playbook names an oracle."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from pytest_aprqa.playbook.check import OracleSpec
from pytest_aprqa.playbook.fields import Section


class Oracle(Section):
    """An oracle and its configuration; which there are, and what each may be told, judges know."""

    type: Annotated[str, StringConstraints(min_length=1)] = Field(
        description="Name of the oracle",
        examples=["arithmetic", "garbage", "code_syntax", "response", "contains", "regex"],
    )
    config: dict[str, Any] = Field(default_factory=dict, description="What the oracle is told")

    def spec(self) -> OracleSpec:
        """Return the oracle as a check carries it."""
        return OracleSpec(self.type, self.config)
