"""What is wrong with a playbook, said once, with the place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

FieldPath = tuple[str | int, ...]
"""Keys and list positions from the root of a playbook to a field."""


Place = TypeVar("Place")


class PlaybookError(Exception):
    """A playbook that cannot be used.

    The message holds one line a problem: `file:line: field: what was found, what is allowed`.
    """


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a playbook.

    Attributes:
        text: what was found and what is allowed.
        field: where in the document; empty for the document as a whole.
        path: the file.
        line: 0-based line in that file; None when no line is to blame.
    """

    text: str
    field: FieldPath
    path: Path
    line: int | None

    def __str__(self) -> str:
        place = shown_path(self.path) + ("" if self.line is None else f":{self.line + 1}")
        return (
            f"{place}: {dotted(self.field)}: {self.text}" if self.field else f"{place}: {self.text}"
        )


@dataclass(frozen=True, slots=True)
class Notice:
    """Something in a playbook that its author should know; the playbook is usable all the same.

    Attributes:
        field: dotted path of the field, for instance "differential_tests.fingerprint".
        reason: what this version does about the field instead.
        line: 0-based line in the playbook.
    """

    field: str
    reason: str
    line: int = 0

    def __str__(self) -> str:
        return f"line {self.line + 1}: {self.field}: {self.reason}"

    def at(self, path: Path) -> str:
        """Return the notice with the file it is about."""
        return f"{shown_path(path)}:{self.line + 1}: {self.field}: {self.reason}"


MOST_SHOWN = 100
"""Problems of one playbook that are told at once."""


def playbook_error(problems: Iterable[Problem], more: int = 0) -> PlaybookError:
    """Return the error that says all the problems in the order of the file, and how many more."""
    ordered = sorted(problems, key=lambda problem: (str(problem.path), problem.line or 0))
    more += max(len(ordered) - MOST_SHOWN, 0)
    lines = [str(problem) for problem in ordered[:MOST_SHOWN]]
    return PlaybookError("\n".join([*lines, *([f"and {more} more problems"] if more else [])]))


def nearest(field: FieldPath, places: Mapping[FieldPath, Place]) -> Place | None:
    """Return where a field stands, or else the nearest thing around it that has a place."""
    while field and field not in places:
        field = field[:-1]
    return places.get(field)


def dotted(field: FieldPath) -> str:
    """Return a field path as people write it: `test_matrix.prompts[0]`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in field)
    return text.removeprefix(".")


def closest(given: str, known: Iterable[str]) -> str:
    """Return the known name that is closest, "" where none is close."""
    import difflib  # errors are rare, and every session of pytest imports this module

    return next(iter(difflib.get_close_matches(given, list(known), n=1)), "")


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return " (did you mean 'x'?)" for the known name that is closest, "" where none is close."""
    close = closest(given, known)
    return f" (did you mean {close!r}?)" if close else ""


def none_of(given: str, choices: Iterable[str]) -> str:
    """Return that a word is none of the choices, and which of them may be meant."""
    names = list(map(str, choices))
    return f"{given!r} is none of {', '.join(names)}{did_you_mean(given, names)}"


def shown_path(path: Path) -> str:
    """Return a path relative to the working directory where it lies below it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
