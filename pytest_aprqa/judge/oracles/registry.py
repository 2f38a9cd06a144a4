"""Oracles by name: our own and those of other packages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from pydantic import ValidationError

from pytest_aprqa.judge.oracles.arithmetic import Arithmetic
from pytest_aprqa.judge.oracles.code_syntax import CodeSyntax
from pytest_aprqa.judge.oracles.composite import Composite
from pytest_aprqa.judge.oracles.garbage import Garbage
from pytest_aprqa.judge.oracles.json_schema import JsonSchema
from pytest_aprqa.judge.oracles.oracle import Oracle
from pytest_aprqa.judge.oracles.reference import AgreesWithReference
from pytest_aprqa.judge.oracles.response import Response
from pytest_aprqa.judge.oracles.text import Contains, Exact, Regex
from pytest_aprqa.playbook.errors import closest

ENTRY_POINT_GROUP = "pytest_aprqa.oracles"

BUILT_IN: Mapping[str, type[Oracle]] = {
    "arithmetic": Arithmetic,
    "code_syntax": CodeSyntax,
    "composite": Composite,
    "contains": Contains,
    "exact": Exact,
    "garbage": Garbage,
    "json_schema": JsonSchema,
    "reference": AgreesWithReference,
    "regex": Regex,
    "response": Response,
}


class OracleError(ValueError):
    """An oracle a playbook asks for does not exist or cannot be made so."""


@cache
def oracle_types() -> Mapping[str, type[Oracle]]:
    """Return every oracle by name.

    Raises:
        OracleError: a package offers an oracle under a name that is taken, or something else
            than an Oracle.
    """
    found = dict(BUILT_IN)
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        if entry.name in found:
            raise OracleError(
                f"The entry point {entry.value} offers an oracle {entry.name!r}, "
                "a name that is taken; rename it in its package."
            )
        loaded = entry.load()
        if not (isinstance(loaded, type) and issubclass(loaded, Oracle)):
            raise OracleError(f"The entry point {entry.value} is not a subclass of Oracle.")
        found[entry.name] = loaded
    return found


def make_oracle(type: str, config: Mapping[str, Any]) -> Oracle:
    """Return the oracle of that name with that configuration.

    Raises:
        OracleError: no such oracle, or a field is unknown, missing or has a bad value.
    """
    known = oracle_types()
    if type not in known:
        raise OracleError(f"There is no oracle {type!r}{_suggest(type, known)}.")
    try:
        return known[type].model_validate(dict(config))
    except ValidationError as error:
        raise OracleError(_sentence(type, known[type], error)) from None


def validate_config(type: str, config: Mapping[str, Any]) -> None:
    """Check what a playbook says of an oracle, before anything runs.

    Raises:
        OracleError: as `make_oracle`.
    """
    make_oracle(type, config)


def _sentence(name: str, oracle: type[Oracle], error: ValidationError) -> str:
    """Say the first thing wrong with a configuration."""
    first = error.errors(include_url=False)[0]
    where = ".".join(["config", *(str(part) for part in first["loc"])])
    if first["type"] == "extra_forbidden":
        fields = sorted(field.alias or name for name, field in oracle.model_fields.items())
        return f"Oracle {name!r}: {where} is not a field{_suggest(str(first['loc'][-1]), fields)}."
    if first["type"] == "missing":
        return f"Oracle {name!r}: {where} is missing."
    message = first["msg"].removeprefix("Value error, ").rstrip(".")
    return f"Oracle {name!r}: {where}: {message[:1].lower()}{message[1:]}."


def _suggest(name: str, known: Mapping[str, Any] | list[str]) -> str:
    close = closest(name, known)
    return f"; did you mean {close!r}?" if close else f"; there are: {', '.join(sorted(known))}"
