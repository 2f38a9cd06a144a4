"""Read a playbook: checked against the schema, with the line of every field."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pytest_aprqa.playbook.canonical import digest_of
from pytest_aprqa.playbook.consistency import CheckOracle, inconsistencies
from pytest_aprqa.playbook.errors import Notice, PlaybookError, Problem, dotted, playbook_error
from pytest_aprqa.playbook.extends import FIELD, read_merged
from pytest_aprqa.playbook.schema import Playbook
from pytest_aprqa.playbook.validate import placed, validate

__all__ = ["LoadedPlaybook", "Notice", "PlaybookError", "load_playbook"]


@dataclass(frozen=True, slots=True)
class LoadedPlaybook:
    """A playbook and the file it was read from.

    Attributes:
        playbook: the fields, templates merged in.
        lines: 0-based line by dotted field path (`test_matrix.prompts[0]`), of the fields that stand
            in the file itself; see `line_of` for the others.
        path: the file.
        digest: sha256 of what the playbook says, independent of comments, layout and order.
        notices: what the author should know, with lines.
    """

    playbook: Playbook
    lines: dict[str, int]
    path: Path
    digest: str
    notices: tuple[Notice, ...]

    def line_of(self, field: str) -> int:
        """Return the 0-based line of a field, or of the nearest thing around it.

        A field that comes from a template is at the line that names the template.
        """
        return _nearest(field, self.lines)

    def error(self, field: str, text: str) -> PlaybookError:
        """Return the error that says something is wrong with a field of this playbook."""
        return playbook_error([Problem(f"{field}: {text}", (), self.path, self.line_of(field))])


def load_playbook(path: Path, *, check_oracle: CheckOracle | None = None) -> LoadedPlaybook:
    """Read a playbook and the templates it extends.

    Args:
        path: the file.
        check_oracle: says whether an oracle exists and may be told what the playbook tells it.
            Which oracles there are is not known here; without it they are checked when they judge.

    Raises:
        PlaybookError: the file cannot be read or breaks the schema; every problem, a line each.
    """
    merged = read_merged(path)
    playbook = validate(merged, path)
    if wrong := list(inconsistencies(playbook, check_oracle)):
        raise playbook_error(placed(field, text, merged, path) for field, text in wrong)
    lines = {dotted(at): place.line for at, place in merged.positions.items() if place.path == path}
    return LoadedPlaybook(
        playbook=playbook,
        lines=lines,
        path=path,
        digest=digest_of(content(playbook)),
        notices=tuple(
            Notice(notice.field, notice.reason, _nearest(notice.field, lines))
            for notice in playbook.notices
        ),
    )


def content(playbook: Playbook) -> dict[str, object]:
    """Return what a playbook says, as plain values: the set fields only, `extends` resolved."""
    return playbook.model_dump(mode="json", exclude_unset=True, exclude={FIELD})


def _nearest(field: str, lines: dict[str, int]) -> int:
    while field:
        if field in lines:
            return lines[field]
        field = field[: max(field.rfind("."), field.rfind("["), 0)]
    return lines.get(FIELD, 0)
