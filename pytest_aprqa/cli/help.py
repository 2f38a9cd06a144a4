"""How commands show their options."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

# What typer calls a context and a parameter has had another home in each of its versions.


class Command(TyperCommand):
    """A command whose flags are shown without a value: they take none."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_values(super().get_params(ctx))


class Group(TyperGroup):
    """A group of commands, whose own flags are shown the same way."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_values(super().get_params(ctx))


def show_flags_without_values(app: typer.Typer) -> None:
    """Let the commands of an application, and those of its groups, be of these classes."""
    app.info.cls = Group
    for command in app.registered_commands:
        command.cls = Command
    for group in app.registered_groups:
        if group.typer_instance is not None:
            show_flags_without_values(group.typer_instance)


def _without_values(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if isinstance(parameter, TyperOption) and parameter.is_flag:
            parameter.metavar = ""  # typer would name the type of the flag, <bool>
    return parameters
