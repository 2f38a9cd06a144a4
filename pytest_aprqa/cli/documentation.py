"""docs/cli.md, made from the commands themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pytest_aprqa.cli.exits import MEANINGS, Exit
from pytest_aprqa.cli.show import document, say

PAGE = Path("docs/cli.md")
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
        output: Annotated[Path, typer.Option("--output", "-o", help="The page")] = PAGE,
        check: Annotated[
            bool, typer.Option("--check", help="Write nothing; fail when it would change")
        ] = False,
        show: Annotated[bool, typer.Option("--print", help="Print the page")] = False,
    ) -> None:
        """Write the page of the command line's documentation."""
        from pytest_aprqa.verdict.run_file import replace_content

        text = page(app)
        if show:
            document(text)
        elif check:
            current = output.is_file() and output.read_text("utf-8") == text
            say(f"{output} {'is' if current else 'is not'} what the commands say")
            raise typer.Exit(Exit.OK if current else Exit.FAILED)
        else:
            replace_content(output, text.encode("utf-8"))
            say(str(output))


def page(app: typer.Typer) -> str:
    """Return the page: exit codes, then every command with its arguments and options."""
    root: Any = typer.main.get_command(app)
    rows = "\n".join(f"| {code.value} | {text} |" for code, text in MEANINGS.items())
    parts = [HEAD, f"## Exit codes\n\n| code | meaning |\n| --- | --- |\n{rows}\n"]
    parts += [
        _section(name, root.commands[name]) for name in root.commands if not _hidden(root, name)
    ]
    return "\n".join(parts)


def _hidden(root: Any, name: str) -> bool:
    return bool(root.commands[name].hidden)


def _section(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    usage = " ".join([f"apr-qa {name}", *(_usage(a) for a in arguments), "[OPTIONS]"])
    rows = [f"| `{_usage(a)}` | {_text(a)} | {_default(a)} |" for a in arguments]
    rows += [f"| `{_names(o)}` | {_text(o)} | {_default(o)} |" for o in options]
    listed = "\n".join(["| | | default |", "| --- | --- | --- |", *rows])
    return f"## {name}\n\n{command.help.strip()}\n\n    {usage}\n\n{listed}\n"


def _usage(argument: Any) -> str:
    name = argument.name.upper() + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def _names(option: Any) -> str:
    names = ", ".join(option.opts)
    if option.is_flag:
        return names
    choices = getattr(option.type, "choices", None)
    values = (
        "|".join(map(_value, choices)) if choices else option.metavar or option.type.name.upper()
    )
    return f"{names} {values}".replace("|", "\\|")


def _text(parameter: Any) -> str:
    return (parameter.help or "").partition(" [default:")[0].replace("|", "\\|")


def _default(parameter: Any) -> str:
    stated = (parameter.help or "").partition(" [default: ")[2].partition("]")[0]
    if stated:
        return stated
    value = parameter.default
    if value is None or value is False or parameter.required or value == ():
        return ""
    return f"`{_value(value)}`"


def _value(value: Any) -> str:
    return str(getattr(value, "value", value))
