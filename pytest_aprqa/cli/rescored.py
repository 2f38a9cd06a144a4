"""A run's verdict, computed again before anything is said on its strength."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_aprqa.cli.exits import Exit, UserError

if TYPE_CHECKING:
    from pytest_aprqa.verdict.record import Run
    from pytest_aprqa.verdict.rescore import Rescored


def rescored(run: Run, where: Path) -> Rescored:
    """Return what the records of a run lead to. Raises UserError when they are not of its plan."""
    from pytest_aprqa.verdict.rescore import rescore

    try:
        return rescore(run)
    except ValueError as error:
        raise UserError(f"{where}: {error}", Exit.FAILED) from None


def require_agreement(run: Run, where: Path) -> None:
    """Raise UserError unless the stored verdict is what the records say."""
    if differences := rescored(run, where).differences:
        raise UserError(
            f"{where}: the stored verdict is not what the records say: {differences[0]}",
            Exit.FAILED,
        )
