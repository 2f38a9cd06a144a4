"""`validate`: everything in a checkout against its schema and its evidence."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pytest_aprqa.cli.exits import Exit, UserError
from pytest_aprqa.cli.options import Json
from pytest_aprqa.cli.show import as_json, say


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(validate)


def validate(
    root: Annotated[
        Path, typer.Argument(help="Directory with playbooks/ and certifications/")
    ] = Path(),
    json: Json = False,
) -> None:
    """Check playbooks, evidence and models.csv, and every claim of the registry against its evidence."""
    from pytest_aprqa.run.checkout import check_checkout

    if not root.is_dir():
        raise UserError(f"there is no directory {root}", Exit.NOT_FOUND)
    report = check_checkout(root)
    if json:
        as_json(asdict(report))
    else:
        for problem in report.problems:
            say(str(problem))
        for notice in report.notices:
            say(f"notice: {notice}")
        looked = ", ".join(f"{count} {what}" for what, count in report.looked_at.items())
        say(f"{looked}: {len(report.problems)} problems")
    if not any(report.looked_at.values()):
        raise UserError(f"{root} holds no playbook, no evidence and no registry", Exit.NOT_FOUND)
    raise typer.Exit(Exit.FAILED if report.problems else Exit.OK)
