"""Reading what a run has left behind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pytest_aprqa.cli.exits import Exit, UserError

if TYPE_CHECKING:
    from pytest_aprqa.verdict.record import Run

NAME = "evidence.json"

Source = Annotated[
    Path, typer.Argument(help="evidence.json, the folder that holds it, or a journal .jsonl")
]


def read_evidence(path: Path) -> Run:
    """Read a run from its evidence, from the folder that holds it, or from its journal.

    A journal is what an interrupted run has left; it is scored as far as it goes.

    Raises:
        UserError, RecordError: there is none, or it is not of this tool.
    """
    from pytest_aprqa.verdict.run_file import read_run

    path = evidence_path(path)
    if path.suffix == ".jsonl":
        return _from_journal(path)
    if _is_array(path):
        raise UserError(
            f"{path} is a bare array of records without a plan, so it has no score; "
            "`apr-qa rejudge` judges its answers"
        )
    return read_run(path)


def evidence_path(path: Path) -> Path:
    """Return the file of evidence that a path means. Raises UserError when there is none."""
    if path.is_dir():
        path = path / NAME
    if not path.is_file():
        raise UserError(f"there is no evidence at {path}", Exit.NOT_FOUND)
    return path


def evidence_files(directory: Path) -> list[Path]:
    """Return all evidence below a directory, in order."""
    if not directory.is_dir():
        raise UserError(f"there is no directory {directory}", Exit.NOT_FOUND)
    return sorted(directory.rglob(NAME))


def _is_array(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(256).lstrip().startswith(b"[")


def _from_journal(path: Path) -> Run:
    from pytest_aprqa.verdict.journal import read_journal
    from pytest_aprqa.verdict.record import Environment, conclude

    journal = read_journal(path)
    if journal.broken_at is not None or journal.header is None:
        line = journal.broken_at or 1
        raise UserError(
            f"{path}, line {line}: the chain of digests breaks here, so the journal was changed"
        )
    records = journal.latest
    return conclude(
        run_id=journal.header.run_id,
        started=journal.header.started,
        finished=records[-1].started if records else journal.header.started,
        plan=journal.header.plan,
        records=records,
        environment=Environment(),
        interrupted=True,
        journal_head=journal.head,
    )
