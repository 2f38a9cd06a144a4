"""Field types of the playbook language and the base of its sections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)

from pytest_aprqa.words import FailurePolicy

NAME_PATTERN = r"^[A-Za-z0-9_.-]+$"


class Section(BaseModel):
    """A mapping of the playbook: immutable, and no field it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


@dataclass(frozen=True, slots=True)
class Inert:
    """Marks a field that is read but that this version does not act on.

    Attributes:
        reason: what is done instead; told to the user whenever the field is set.
    """

    reason: str


def _no_boolean(value: Any) -> Any:
    """Python counts true as 1; a playbook does not."""
    if value is True or value is False:
        raise ValueError(f"found the boolean {str(value).lower()}; allowed: a number")
    return value


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"names {str(value)!r} twice")
    return values


def _hyphens(value: Any) -> Any:
    return value.replace("_", "-") if isinstance(value, str) else value


FLAG_WORDS = ("true", "yes", "on", "false", "no", "off")

Flag = Annotated[
    bool,
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"enum": list(FLAG_WORDS)}]}),
]
"""A boolean, also as a quoted word (true, yes, on, false, no, off)."""

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, min_length=1, max_length=120)]
"""A name that is safe in a node id and in a file name."""

PromptText = Annotated[str, StringConstraints(pattern=r"\S", max_length=100_000)]
"""A prompt with at least one visible character."""

Count = Annotated[int, BeforeValidator(_no_boolean)]
"""A whole number."""

Number = Annotated[float, BeforeValidator(_no_boolean)]
"""A finite number; `1e-5`, which YAML 1.1 reads as text, is one."""

NonNegative = Annotated[Number, Field(ge=0)]

Ratio = Annotated[Number, Field(ge=0, le=1)]

Distinct = AfterValidator(_distinct)
"""Marks a list in which nothing may stand twice."""

Policy = Annotated[
    FailurePolicy,
    BeforeValidator(_hyphens),
    WithJsonSchema(
        {"enum": [spelling for p in FailurePolicy for spelling in (p.value, p.replace("-", "_"))]}
    ),
]
"""A failure policy, with hyphens or underscores."""
