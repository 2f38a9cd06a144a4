"""The commands of `apr-qa` put together, and how it ends."""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from typing import Annotated, NoReturn

import typer

from pytest_aprqa.cli import (
    artifacts,
    certify,
    checkout,
    documentation,
    evidence,
    falsify,
    fleet,
    machine,
    parity,
    playbooks,
    publish,
    registry,
    rejudge,
    sign,
)
from pytest_aprqa.cli.exits import MEANINGS, Exit, UserError, code_of
from pytest_aprqa.cli.help import speak_plainly
from pytest_aprqa.cli.show import complain, say

app = typer.Typer(
    name="apr-qa",
    help="Certify a language model's files: SafeTensors, APR and GGUF, on real engines.",
    epilog="Exit codes: " + "; ".join(f"{code.value} {text}" for code, text in MEANINGS.items()),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (
    certify,
    evidence,
    rejudge,
    sign,
    publish,
    registry,
    playbooks,
    artifacts,
    parity,
    checkout,
    falsify,
    fleet,
    machine,
    documentation,
):
    group.register(app)
speak_plainly(app)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        say(f"apr-qa {version('pytest-aprqa')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def run() -> NoReturn:
    """Run the command line and end the process with its exit code."""
    signal.signal(signal.SIGINT, _interrupted)
    log = logging.getLogger("pytest_aprqa")  # says what is waited for
    log.addHandler(logging.StreamHandler())
    log.setLevel(logging.INFO)
    try:
        app()
    except BrokenPipeError:
        # The reader has gone, for instance `head`; the interpreter must not complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.OK)
    except Exception as error:  # noqa: BLE001 - here every error gets its sentence and exit code
        _fail(error)
    sys.exit(Exit.OK)


def _interrupted(*_: object) -> NoReturn:
    sys.exit(Exit.INTERRUPTED)


def _fail(error: Exception) -> NoReturn:
    code = code_of(error)
    if code is None:
        traceback.print_exception(error)
        complain(f"this is a fault of apr-qa, please report it: {type(error).__name__}: {error}")
        sys.exit(Exit.FAULT)
    complain(_sentence(error))
    sys.exit(code)


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and not isinstance(error, UserError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    return str(error)
