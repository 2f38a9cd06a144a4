"""`doctor` and `tools`: this machine, and the `apr` binary on it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pytest_aprqa.cli.exits import Exit, UserError
from pytest_aprqa.cli.options import Json, NoGpu
from pytest_aprqa.cli.show import as_json, say, table

Binary = Annotated[
    str | None, typer.Option("--apr-binary", help="Path or name of an `apr` program")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(doctor)
    app.command()(tools)


def doctor(apr_binary: Binary = None, json: Json = False) -> None:
    """Say what this machine can run: engines, GPU, memory, caches, versions, the apr binary."""
    from pytest_aprqa.run.machine import Health, examine

    found = examine(apr_binary)
    if json:
        as_json([asdict(finding) for finding in found])
    else:
        table(("", "", ""), [(f.health, f.name, f.text) for f in found])
    broken = [f for f in found if f.needed and f.health is not Health.OK]
    raise typer.Exit(Exit.FAILED if broken else Exit.OK)


def tools(
    model: Annotated[Path, typer.Argument(help="File or directory of a model")],
    apr_binary: Annotated[
        str, typer.Option("--apr-binary", help="Path or name of the `apr` program")
    ] = "apr",
    no_gpu: NoGpu = False,
    timeout: Annotated[
        int, typer.Option("--timeout", min=1, metavar="MS", help="Milliseconds each tool may take")
    ] = 60_000,
    json: Json = False,
) -> None:
    """Try the tools of an `apr` binary on a model and show how many of them work."""
    import shutil

    from pytest_aprqa.run.tools import try_tools

    if not model.exists():
        raise UserError(f"{model} does not exist", Exit.NOT_FOUND)
    binary = shutil.which(apr_binary)
    if binary is None:
        raise UserError(
            f"there is no program {apr_binary!r}; give it with --apr-binary", Exit.NOT_FOUND
        )
    results = list(try_tools(binary, model.resolve(), no_gpu=no_gpu, timeout=timeout / 1000))
    if json:
        as_json([asdict(result) for result in results])
    else:
        table(
            ("tool", "gate", "outcome", "seconds", "reason"),
            [(r.tool, r.gate_id, r.outcome, f"{r.seconds:.2f}", r.reason) for r in results],
        )
        counts = Counter(result.outcome for result in results)
        counted = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
        say(f"{len(results)} tools: {counted}")
    failed = any(result.outcome.fails for result in results)
    ran = any(result.outcome.executed for result in results)
    raise typer.Exit(Exit.OK if ran and not failed else Exit.FAILED)
