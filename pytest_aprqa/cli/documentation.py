"""The files that are made from the code, and docs/cli.md, made from the commands themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from inspect import Parameter, getdoc, signature
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import typer

from pytest_aprqa.cli.exits import MEANINGS, Exit
from pytest_aprqa.cli.show import say
from pytest_aprqa.words import Format

HEAD = """\
# The command line

<!-- Made by `apr-qa docs` from the commands; not to be edited. -->

`run` and `certify` are pytest underneath: the same items, the same evidence, the same reports as
`pytest NAME.playbook.yaml`. Every other command reads or writes files. Where `--json` is offered,
standard output is JSON and nothing else; messages go to standard error, one sentence each.

`apr-qa --install-completion` sets up completion for bash, zsh, fish and PowerShell.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(hidden=True)
    def docs(
        root: Annotated[Path, typer.Argument(help="The checkout")] = Path(),
        check: Annotated[
            bool, typer.Option("--check", help="Write nothing; fail when a file would change")
        ] = False,
    ) -> None:
        """Write the pages and schemas that are made from the code."""
        from pytest_aprqa.verdict.run_file import replace_content

        stale = False
        for name, text in made_from_code(app).items():
            path = root / name
            current = path.is_file() and path.read_text("utf-8") == text
            stale |= not current
            if not check and not current:
                replace_content(path, text.encode("utf-8"))
            state = "is" if current else "is not" if check else "is now"
            say(f"{path} {state} what the code says")
        raise typer.Exit(Exit.FAILED if check and stale else Exit.OK)


def made_from_code(app: typer.Typer) -> dict[str, str]:
    """Return the content of every file of the repository that is made from the code, by path."""
    from pytest_aprqa.cli.playbook_page import playbook_page
    from pytest_aprqa.playbook.json_schema import schema_text
    from pytest_aprqa.verdict.json_schema import evidence_schema_text

    return {
        "docs/cli.md": page(app),
        "docs/playbooks.md": playbook_page(),
        "playbooks/playbook.schema.yaml": schema_text(),
        "playbooks/evidence.schema.json": evidence_schema_text(),
    }


def page(app: typer.Typer) -> str:
    """Return the page: exit codes, then every command with its arguments and options."""
    rows = "\n".join(f"| {code.value} | {text} |" for code, text in MEANINGS.items())
    codes = f"## Exit codes\n\n| code | meaning |\n| --- | --- |\n{rows}\n"
    return "\n".join([HEAD, codes, *_sections(app)])


def _sections(app: typer.Typer, prefix: str = "") -> Iterator[str]:
    """Yield the section of every command, those of groups after the others."""
    for command in app.registered_commands:
        if command.callback and not command.hidden:
            yield _section(command, prefix)
    for group in app.registered_groups:
        if group.typer_instance is not None and not group.hidden:
            yield from _sections(group.typer_instance, f"{prefix}{group.name} ")


@dataclass(frozen=True, slots=True)
class _Parameter:
    """A parameter of a command: its name, its type and what was told to typer of it."""

    name: str
    type: Any
    info: Any
    default: Any

    @property
    def is_argument(self) -> bool:
        return isinstance(self.info, typer.models.ArgumentInfo)

    @property
    def usage(self) -> str:
        shown = self.name.upper() + ("..." if get_origin(self.type) is list else "")
        return shown if self.default is Parameter.empty else f"[{shown}]"

    @property
    def flags(self) -> str:
        # In `Annotated`, the first name a typer.Option is given arrives as its default.
        names = ", ".join(filter(_is_flag, (self.info.default, *(self.info.param_decls or ()))))
        if self.type is bool:
            return names
        if isinstance(self.type, type) and issubclass(self.type, Enum):
            return f"{names} " + "\\|".join(str(member.value) for member in self.type)
        metavar: str = self.info.metavar or _METAVARS.get(self.type, "TEXT")
        return f"{names} " + metavar.replace("|", "\\|")

    @property
    def help(self) -> str:
        return (self.info.help or "").replace("|", "\\|")

    @property
    def stated_default(self) -> str:
        if isinstance(self.info.show_default, str):
            return self.info.show_default
        if self.default in (Parameter.empty, None, False, ""):
            return ""
        return f"`{getattr(self.default, 'value', self.default)}`"

    def row(self) -> str:
        """Return the line of the table."""
        name = self.usage if self.is_argument else self.flags
        return f"| `{name}` | {self.help} | {self.stated_default} |"


_METAVARS = {Path: "PATH", int: "N", list[Format]: "FORMAT"}


def _is_flag(name: Any) -> bool:
    return isinstance(name, str) and name.startswith("-")


def _section(command: Any, prefix: str) -> str:
    callback = command.callback
    name = prefix + (command.name or callback.__name__.replace("_", "-"))
    parameters = list(_parameters(callback))
    arguments = [parameter for parameter in parameters if parameter.is_argument]
    options = [parameter for parameter in parameters if not parameter.is_argument]
    usage = " ".join([f"apr-qa {name}", *(a.usage for a in arguments), "[OPTIONS]"])
    rows = "\n".join(parameter.row() for parameter in (*arguments, *options))
    listed = f"| | | default |\n| --- | --- | --- |\n{rows}"
    return f"## {name}\n\n{getdoc(callback)}\n\n    {usage}\n\n{listed}\n"


def _parameters(callback: Callable[..., Any]) -> Iterator[_Parameter]:
    hints = get_type_hints(callback, include_extras=True)
    for name, parameter in signature(callback).parameters.items():
        if get_origin(hints[name]) is not Annotated:
            continue  # the context
        kind, info = get_args(hints[name])
        yield _Parameter(name, _without_none(kind), info, parameter.default)


def _without_none(kind: Any) -> Any:
    if get_origin(kind) not in (Union, UnionType):
        return kind
    return next(part for part in get_args(kind) if part is not NoneType)
