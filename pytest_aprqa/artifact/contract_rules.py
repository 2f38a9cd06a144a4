"""The rules of G0, read from contract/rules.yaml."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import yaml
from pydantic import BaseModel, ConfigDict

from pytest_aprqa.observation import Severity


class Rule(BaseModel):
    """One rule.

    Attributes:
        says: what must hold, as a sentence.
        severity: of a finding that breaks it at its worst.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    says: str
    severity: Severity = Severity.ERROR


@cache
def contract_rules() -> dict[str, Rule]:
    """Return every rule by its id."""
    text = files("pytest_aprqa.artifact").joinpath("contract/rules.yaml").read_text("utf-8")
    return {name: Rule.model_validate(rule) for name, rule in yaml.safe_load(text).items()}
