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
    GetJsonSchemaHandler,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import CoreSchema

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

NoBoolean = BeforeValidator(_no_boolean)
"""Marks a number for which `true` may not stand; last in its annotation, after its bounds."""

NonNegative = Annotated[float, Field(ge=0), NoBoolean]
"""A finite number; `1e-5`, which YAML 1.1 reads as text, is one."""

Distinct = AfterValidator(_distinct)
"""Marks a list in which nothing may stand twice."""


@dataclass(frozen=True, slots=True)
class Also:
    """Marks a field that a validator before its type lets be something else as well.

    Attributes:
        schema: JSON Schema of what else.
    """

    schema: dict[str, Any]

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [self.schema, handler(core)]}


TEXT_TOO = Also({"type": "string"})

Policy = Annotated[
    FailurePolicy,
    BeforeValidator(_hyphens),
    WithJsonSchema(
        {"enum": [spelling for p in FailurePolicy for spelling in (p.value, p.replace("-", "_"))]}
    ),
]
"""A failure policy, with hyphens or underscores."""
