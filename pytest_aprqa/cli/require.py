"""What is made sure of before anything is done."""

from __future__ import annotations

import re
from pathlib import Path

from pytest_aprqa.cli.exits import UserError

_ID = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")


def require_id(given: str, what: str = "model id") -> None:
    """Raise UserError unless a text has the form owner/name."""
    if not _ID.fullmatch(given):
        raise UserError(f"{given!r} is no {what}; it has the form owner/name")


def require_directory(path: Path, option: str = "--output") -> None:
    """Raise UserError unless a path is a directory or one can be made there."""
    whole = path.absolute()
    there = next(place for place in (whole, *whole.parents) if place.exists())
    if not there.is_dir():
        shown = path if there == whole else there
        raise UserError(f"{shown} is a file; {option} names a directory")
