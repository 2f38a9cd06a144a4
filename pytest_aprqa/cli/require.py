"""Names of the form owner/name: of models and data sets on the hub, of repositories of a code host."""

from __future__ import annotations

import re

from pytest_aprqa.cli.exits import UserError

_ID = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")


def require_id(given: str, what: str = "model id") -> None:
    """Raise UserError unless a text has the form owner/name."""
    if not _ID.fullmatch(given):
        raise UserError(f"{given!r} is no {what}; it has the form owner/name")
