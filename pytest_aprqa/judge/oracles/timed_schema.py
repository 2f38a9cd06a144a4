"""Validation by a JSON Schema whose patterns cannot stop a run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from pytest_aprqa.judge.oracles.text import REGEX_SECONDS

_VALUES = frozenset(("const", "enum", "default", "examples"))  # keywords that hold no schema


def first_error(schema: dict[str, Any], value: Any) -> str | None:
    """Return what a value does not satisfy in a schema of draft 2020-12, None when nothing.

    Raises:
        TimeoutError: the patterns took more than a second together.
        RecursionError: the schema refers to itself without end.
        referencing.exceptions.Unresolvable: the schema refers to one that is elsewhere.
    """
    from jsonschema import Draft202012Validator, validators
    from referencing import Registry

    patterns = _Patterns()
    timed = validators.extend(  # type: ignore[no-untyped-call]
        Draft202012Validator,
        {
            "pattern": patterns.pattern,
            "patternProperties": patterns.properties,
            "additionalProperties": patterns.additional,
        },
    )
    validator = timed(_without_draft(schema), registry=Registry())
    error = next(validator.iter_errors(value), None)
    return None if error is None else f"{error.json_path}: {error.message}"


class _Patterns:
    """The keywords of a schema that search, by an engine that can be stopped."""

    def __init__(self) -> None:
        self._end = time.monotonic() + REGEX_SECONDS

    def pattern(self, validator: Any, pattern: str, text: Any, schema: Any) -> Iterator[Any]:
        from jsonschema import ValidationError

        if validator.is_type(text, "string") and not self._found(pattern, text):
            yield ValidationError(f"{text!r} does not match {pattern!r}")

    def properties(
        self, validator: Any, patterns: dict[str, Any], value: Any, schema: Any
    ) -> Iterator[Any]:
        if not validator.is_type(value, "object"):
            return
        for pattern, wanted in patterns.items():
            for name, content in value.items():
                if self._found(pattern, name):
                    yield from validator.descend(content, wanted, path=name, schema_path=pattern)

    def additional(
        self, validator: Any, wanted: Any, value: Any, schema: dict[str, Any]
    ) -> Iterator[Any]:
        from jsonschema import Draft202012Validator

        if not validator.is_type(value, "object"):
            return
        patterns = schema.get("patternProperties", {})
        extra = {
            name: content
            for name, content in value.items()
            if name not in schema.get("properties", {})
            and not any(self._found(pattern, name) for pattern in patterns)
        }
        yield from Draft202012Validator.VALIDATORS["additionalProperties"](
            validator, wanted, extra, {}
        )

    def _found(self, pattern: str, text: str) -> bool:
        import regex

        left = max(self._end - time.monotonic(), 0.001)
        return regex.search(pattern, text, timeout=left) is not None


def _without_draft(schema: Any) -> Any:
    """Return a schema without `$schema`, which would bring validators of another draft in."""
    if isinstance(schema, list):
        return [_without_draft(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: value if key in _VALUES else _without_draft(value)
        for key, value in schema.items()
        if not (key == "$schema" and isinstance(value, str))
    }
