"""Options that several commands take together, written once as the fields of a dataclass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from functools import wraps
from inspect import Parameter, signature
from typing import Any, TypeVar, get_type_hints

Command = Callable[..., None]
Function = TypeVar("Function", bound=Command)


def takes(group: type[Any], name: str) -> Callable[[Command], Command]:
    """Let a command take the fields of a dataclass as options of its own.

    Args:
        group: the dataclass; each field is annotated as a typer option.
        name: the parameter of the command that is handed the dataclass.
    """

    def decorate(command: Command) -> Command:
        hints = get_type_hints(group, include_extras=True)
        shared = [_parameter(field, hints[field.name]) for field in fields(group)]
        own_hints = get_type_hints(command, include_extras=True)
        own = [
            parameter.replace(annotation=own_hints[parameter.name])
            for parameter in signature(command).parameters.values()
            if parameter.name != name
        ]

        @wraps(command)
        def call(**given: Any) -> None:
            values = {parameter.name: given.pop(parameter.name) for parameter in shared}
            command(**given, **{name: group(**values)})

        together = [*own, *shared]
        call.__signature__ = signature(command).replace(parameters=together)  # type: ignore[attr-defined]
        call.__annotations__ = {
            **{parameter.name: parameter.annotation for parameter in together},
            "return": None,
        }
        return call

    return decorate


def _parameter(field: Field[Any], annotation: Any) -> Parameter:
    default = Parameter.empty if field.default is MISSING else field.default
    return Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
