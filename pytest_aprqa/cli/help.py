"""How commands show their options, and how they say that one is wrong."""

from __future__ import annotations

import re
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from pytest_aprqa.playbook.errors import none_of

_CHOICES = re.compile(r"'(.*)' is not one of (.*)\.", re.DOTALL)
_KINDS = (
    (re.compile(r"Input should be a valid integer.*", re.DOTALL), "must be a whole number"),
    (re.compile(r"Input should be a valid number.*", re.DOTALL), "must be a number"),
    (re.compile(r"Input should be "), "must be "),
    (re.compile(r"Value error, "), ""),
)


class _Plain:
    """What typer makes of the annotations of a command, in the words of its users."""

    # What typer calls a context and a parameter has had another home in each of its versions.

    def get_params(self, ctx: Any) -> Any:
        parameters = super().get_params(ctx)  # type: ignore[misc]
        for parameter in parameters:
            if isinstance(parameter, TyperOption) and parameter.is_flag:
                parameter.metavar = ""  # typer would name the type of the flag, <bool>
        return parameters

    def make_context(self, *given: Any, **named: Any) -> Any:
        try:
            return super().make_context(*given, **named)  # type: ignore[misc]
        except typer.BadParameter as error:
            error.message = plain(error.message)
            raise


class Command(_Plain, TyperCommand):
    """A command."""


class Group(_Plain, TyperGroup):
    """A group of commands."""


def speak_plainly(app: typer.Typer) -> None:
    """Let the commands of an application, and those of its groups, be of these classes."""
    app.info.cls = Group
    for command in app.registered_commands:
        command.cls = Command
    for group in app.registered_groups:
        if group.typer_instance is not None:
            speak_plainly(group.typer_instance)


def plain(message: str) -> str:
    """Return what is wrong with a value without the words of the library that found it."""
    for pattern, words in _KINDS:
        message = pattern.sub(words, message, count=1)
    if found := _CHOICES.fullmatch(message):
        return none_of(found[1], re.findall(r"'([^']*)'", found[2]))
    return message
