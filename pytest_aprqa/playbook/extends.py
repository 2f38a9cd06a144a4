"""`extends: TEMPLATE`: a playbook that says only what its template does not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pytest_aprqa.playbook.errors import (
    FieldPath,
    PlaybookError,
    Problem,
    playbook_error,
    shown_path,
)
from pytest_aprqa.playbook.source import Source, read_source

FIELD = "extends"
INSTALLED = Path(__file__).parent / "templates"
"""The templates of an installed package; a checkout keeps them with its playbooks."""

CHECKED_OUT = Path(__file__).parents[2] / "playbooks" / "templates"

_IDENTITY: tuple[FieldPath, ...] = (("name",), ("description",), ("model", "hf_repo"), (FIELD,))
"""What a template says of itself, and a playbook must say for its own."""


class Position(NamedTuple):
    """Where a field stands."""

    path: Path
    line: int


@dataclass(frozen=True, slots=True)
class Merged:
    """A playbook with its templates merged in.

    Attributes:
        value: the fields, the playbook's own before its template's.
        positions: file and 0-based line of every field.
    """

    value: dict[str, Any]
    positions: dict[FieldPath, Position]


def read_merged(path: Path) -> Merged:
    """Read a playbook and the templates it extends. Raises PlaybookError."""
    return _read(path, ())


def _read(path: Path, trail: tuple[Path, ...]) -> Merged:
    source = read_source(path)
    own = Merged(source.value, {at: Position(path, line) for at, line in source.lines.items()})
    if FIELD not in source.value:
        return own
    template = find_template(source)
    if template in (*(step.resolve() for step in trail), path.resolve()):
        circle = " -> ".join(shown_path(step) for step in (*trail, path, template))
        raise _error(source, f"templates extend each other in a circle: {circle}")
    base = _read(template, (*trail, path))
    for identity in _IDENTITY:
        _forget(base, identity)
    return _overlay(base, own)


def find_template(source: Source) -> Path:
    """Return the template that a playbook extends.

    A name is looked up in `templates/` next to the playbook and in each folder above it, then among
    the templates of this package; a text that ends in `.yaml` or `.yml` is a path relative to the playbook.

    Raises:
        PlaybookError: there is no such template; the message lists those there are.
    """
    wanted = source.value[FIELD]
    if not isinstance(wanted, str) or not wanted:
        raise _error(source, f"found {wanted!r}; allowed: the name of a template, or a path to one")
    if wanted.endswith((".yaml", ".yml")):
        path = (source.path.parent / wanted).resolve()
        if path.is_file():
            return path
        raise _error(source, f"found {wanted!r}; there is no file {shown_path(path)}")
    if "/" in wanted:
        raise _error(source, f"found {wanted!r}; a path to a template ends in .yaml")
    for folder in _template_folders(source.path):
        if (candidate := folder / f"{wanted}.yaml").is_file():
            return candidate.resolve()
    known = template_names(source.path)
    raise _error(source, f"found {wanted!r}; templates: {', '.join(known) or 'none'}")


def template_names(playbook: Path) -> list[str]:
    """Return the names of the templates that a playbook at a path can extend."""
    folders = _template_folders(playbook)
    return sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})


def _template_folders(playbook: Path) -> list[Path]:
    above = [folder / "templates" for folder in playbook.resolve().parents]
    return [*above, INSTALLED, CHECKED_OUT]


def _error(source: Source, text: str) -> PlaybookError:
    return playbook_error([Problem(text, (FIELD,), source.path, source.lines[FIELD,])])


def _overlay(base: Merged, own: Merged) -> Merged:
    value = dict(base.value)
    positions = dict(base.positions)
    _merge_into(value, own.value, (), positions)
    return Merged(value, positions | own.positions)


def _merge_into(
    target: dict[str, Any],
    own: dict[str, Any],
    at: FieldPath,
    positions: dict[FieldPath, Position],
) -> None:
    """Merge mappings; anything else of the playbook takes the place of the template's."""
    for key, value in own.items():
        here = (*at, key)
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            target[key] = dict(target[key])
            _merge_into(target[key], value, here, positions)
            continue
        if key in target:
            for inherited in [field for field in positions if field[: len(here)] == here]:
                del positions[inherited]
        target[key] = value


def _forget(base: Merged, field: FieldPath) -> None:
    holder = base.value
    for key in field[:-1]:
        holder = holder.get(str(key), {})
        if not isinstance(holder, dict):
            return
    holder.pop(str(field[-1]), None)
    base.positions.pop(field, None)
