"""Fields against the schema: every mistake found at once, each with its line and a way out."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError
from pydantic_core import ErrorDetails

from pytest_aprqa.playbook.errors import (
    MOST_SHOWN,
    FieldPath,
    Problem,
    did_you_mean,
    dotted,
    nearest,
    playbook_error,
)
from pytest_aprqa.playbook.extends import Merged, Position
from pytest_aprqa.playbook.schema import Playbook

SHOWN = 60
"""Most characters of a value that a message repeats."""


def validate(merged: Merged, path: Path) -> Playbook:
    """Return the playbook of merged fields. Raises PlaybookError."""
    try:
        return Playbook.model_validate(merged.value)
    except ValidationError as error:
        found = error.errors()
        problems = [_problem(details, merged, path) for details in found[:MOST_SHOWN]]
        raise playbook_error(problems, len(found) - len(problems)) from None


def placed(field: FieldPath, text: str, merged: Merged, path: Path) -> Problem:
    """Return the problem of a field, with its line or that of the nearest thing around it."""
    place = nearest(field, merged.positions) or Position(path, 0)
    return Problem(text, field, place.path, place.line)


def _problem(details: ErrorDetails, merged: Merged, path: Path) -> Problem:
    field = _in_document(details["loc"], merged.value)
    return placed(field, _sentence(details, field), merged, path)


def _in_document(loc: Iterable[str | int], document: Any) -> FieldPath:
    """Drop what pydantic adds to a location: the tags of alternatives and `[key]`."""
    parts = list(loc)
    field: list[str | int] = []
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if isinstance(document, dict) and (part in document or (last and part != "[key]")):
            field.append(part)
            document = document.get(part)
        elif isinstance(document, list | tuple) and isinstance(part, int):
            field.append(part)
            document = document[part] if part < len(document) else None
    return tuple(field)


def _sentence(details: ErrorDetails, field: FieldPath) -> str:
    kind, context = details["type"], details.get("ctx", {})
    found = f"found {shown(details['input'])}; allowed: "
    match kind:
        case "missing":
            return f"is missing{_meaning(field)}"
        case "extra_forbidden":
            return _unknown(str(field[-1]), details["loc"])
        case "enum" | "literal_error":
            choices = context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
            return f"{found}{', '.join(choices)}{did_you_mean(str(details['input']), choices)}"
        case "value_error":
            return str(context["error"])
        case "bool_parsing" | "bool_type":
            return f"{found}true, yes, on, false, no, off"
        case "string_type":
            return f"{found}text{_quote(details['input'])}"
        case "string_pattern_mismatch":
            return found + _PATTERNS.get(
                context["pattern"], f"text that matches {context['pattern']}"
            )
        case "string_too_long":
            return f"{found}at most {context['max_length']} characters"
        case "string_too_short":
            return f"{found}text that is not empty"
        case "too_short":
            return f"{found}at least one"
    if kind in _KINDS:
        return found + _KINDS[kind]
    return found + details["msg"].removeprefix("Input should ").removeprefix("be ")


_KINDS = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "finite_number": "a finite number",
    "float_type": "a number",
    "float_parsing": "a number",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}

_PATTERNS = {
    r"^[A-Za-z0-9_.-]+$": "letters, digits, `_`, `.` and `-`",
    r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$": "a Hugging Face id `org/name`",
    r"^[0-9a-f]{64}$": "a sha256 of 64 hexadecimal digits",
    r"\S": "text with at least one visible character",
}


def shown(value: Any) -> str:
    """Return a value as a message repeats it: short, on one line."""
    match value:
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list" if value else "an empty list"
        case None:
            return "nothing"
        case bool():
            return f"the boolean {str(value).lower()}"
        case int() | float():
            return f"the number {value}"
    text = str(value)
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "...")


def _quote(value: Any) -> str:
    return "; put it in quotes" if isinstance(value, bool | int | float) else ""


def _meaning(field: FieldPath) -> str:
    info = _section_at(field[:-1]).model_fields.get(str(field[-1]))
    return f": {info.description}" if info and info.description else ""


def _unknown(key: str, loc: tuple[str | int, ...]) -> str:
    allowed = sorted(_keys(_section_at(loc[:-1])))
    if close := did_you_mean(key, allowed):
        return f"unknown field; allowed: {', '.join(allowed)}{close}"
    elsewhere = [dotted(path) for path in _everywhere(Playbook, ()) if path[-1] == key]
    hint = f" (did you mean {elsewhere[0]!r}?)" if elsewhere else ""
    return f"unknown field; allowed: {', '.join(allowed)}{hint}"


def _keys(section: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in section.model_fields.items()]


def _section_at(loc: tuple[str | int, ...]) -> type[BaseModel]:
    """Return the model that describes a place, walking the annotations along a location."""
    section: type[BaseModel] = Playbook
    for index, part in enumerate(loc):
        if part in section.model_fields:
            annotation = section.model_fields[str(part)].annotation
            section = next(_models_in(annotation, loc[index + 1 :]), section)
    return section


def _models_in(annotation: Any, below: tuple[str | int, ...]) -> Iterator[type[BaseModel]]:
    """Find the models in an annotation; of alternatives the one that the location goes on with."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Annotated, Union, types.UnionType, tuple, list, dict):
        inner, *marks = get_args(annotation)
        tags = [mark.tag for mark in marks if isinstance(mark, Tag)]
        if not tags or tags[0] in below[:1]:
            for argument in (inner, *marks):
                yield from _models_in(argument, below)


def _everywhere(section: type[BaseModel], at: FieldPath) -> Iterator[FieldPath]:
    for name, info in section.model_fields.items():
        yield (*at, name)
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from _everywhere(info.annotation, (*at, name))
