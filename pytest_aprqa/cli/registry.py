"""`list` and `sync-readme`: the registry of models."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from pytest_aprqa.cli.exits import Exit, UserError
from pytest_aprqa.cli.options import REGISTRY, Json, Registry
from pytest_aprqa.cli.selection import no_family, rows_of
from pytest_aprqa.cli.show import as_json, deliver, say, table
from pytest_aprqa.words import SizeCategory, Status


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("list")(list_models)
    app.command("sync-readme")(sync)


def list_models(
    size: Annotated[SizeCategory | None, typer.Option("--size", "-s", help="Size")] = None,
    family: Annotated[str | None, typer.Option("--family", help="Family")] = None,
    status: Annotated[
        Status | None, typer.Option("--status", case_sensitive=False, help="Status")
    ] = None,
    registry: Registry = REGISTRY,
    json: Json = False,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a page to sort and search instead")
    ] = None,
) -> None:
    """Show the models of the registry, all or those that fit every option."""
    from pytest_aprqa.registry.page import render_page

    known = rows_of(registry)
    rows = [
        row
        for row in known
        if (size is None or row.size_category == size)
        and (family is None or row.family.lower() == family.lower())
        and (status is None or row.status == status)
    ]
    if rows and html is not None:
        deliver(render_page(rows), html)
    elif json:
        as_json([row.columns() for row in rows])
    elif rows:
        heads = ("model", "family", "size", "", "status", "mqs", "grade", "tier")
        table(
            heads,
            [
                (
                    row.model_id,
                    row.family,
                    row.size_category,
                    row.parameters,
                    row.status,
                    row.mqs_score if row.status != Status.PENDING else "-",
                    row.grade,
                    row.certified_tier,
                )
                for row in rows
            ],
        )
        say(f"{len(rows)} models")
    if not known:
        text = f"{registry} lists no model yet; a run adds its own, and so does `apr-qa export-csv`"
        raise UserError(text, Exit.NOT_FOUND)
    if family is not None and all(row.family.lower() != family.lower() for row in known):
        raise no_family(registry, family, known)
    if not rows:
        raise UserError(f"{registry} has no such model among its {len(known)}", Exit.NOT_FOUND)


def sync(
    readme: Annotated[Path, typer.Option("--readme", help="The README")] = Path("README.md"),
    registry: Registry = REGISTRY,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail when it would change")
    ] = False,
) -> None:
    """Write the registry's table between the markers of the README."""
    from pytest_aprqa.registry.readme import sync_readme

    if not readme.is_file():
        raise UserError(f"there is no {readme}", Exit.NOT_FOUND)
    if check:
        with TemporaryDirectory(prefix="aprqa-") as folder:
            copy = Path(folder, readme.name)
            shutil.copyfile(readme, copy)
            current = not sync_readme(copy, registry)
        say(f"{readme} {'is' if current else 'is not'} what {registry} says")
        raise typer.Exit(Exit.OK if current else Exit.FAILED)
    changed = sync_readme(readme, registry)
    say(f"{readme} {'has been updated' if changed else 'was up to date'}")
