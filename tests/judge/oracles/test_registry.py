"""How a playbook asks for an oracle, and how a package brings one."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest

from pytest_aprqa.judge.oracles import (
    Case,
    Oracle,
    OracleAnswer,
    OracleError,
    oracle_types,
    registry,
    validate_config,
)
from pytest_aprqa.judge.oracles.oracle import right

Ask = Callable[..., OracleAnswer]

PARIS = {"type": "contains", "config": {"any": ["Paris"]}}


@pytest.mark.parametrize(
    ("type_", "config", "message"),
    [
        ("arithmetik", {}, "There is no oracle 'arithmetik'; did you mean 'arithmetic'?."),
        ("vibes", {}, "There is no oracle 'vibes'; there are: arithmetic, "),
        (
            "arithmetic",
            {"tolerence": 1},
            "config.tolerence is not a field; did you mean 'tolerance'?",
        ),
        (
            "arithmetic",
            {"tolerance": -1},
            "config.tolerance: input should be greater than or equal to 0",
        ),
        ("arithmetic", {"tolerance": "much"}, "config.tolerance: input should be a valid number"),
        ("exact", {}, "config.value is missing"),
        ("contains", {}, "give at least one of all, any, none"),
        ("contains", {"any": [""]}, "config.any.0: string should have at least 1 character"),
        ("regex", {"pattern": "("}, "config.pattern: not a regular expression"),
        ("regex", {"pattern": "x" * 2000}, "config.pattern: string should have at most 1000"),
        ("json_schema", {"schema": {"type": "objekt"}}, "not a JSON Schema"),
        ("json_schema", {"schema": {"pattern": "("}}, "not a JSON Schema"),
        ("json_schema", {}, "config.schema is missing"),
        ("code_syntax", {"languages": []}, "config.languages"),
        ("code_syntax", {"languages": ["a b"]}, "'a b' is not the name of a language"),
        ("composite", {"oracles": []}, "config.oracles"),
        ("composite", {"oracles": [{"type": "exact"}]}, "config.value is missing"),
        ("composite", {"mode": "some", "oracles": [PARIS]}, "config.mode"),
        ("garbage", {"max_repetition_ratio": 2}, "config.max_repetition_ratio"),
        ("response", {"min_relevance": 1.5}, "config.min_relevance"),
    ],
)
def test_a_bad_configuration_is_one_sentence_that_names_the_field(
    type_: str, config: dict[str, Any], message: str
) -> None:
    with pytest.raises(OracleError) as error:
        validate_config(type_, config)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", sorted(oracle_types()))
def test_no_oracle_takes_a_field_it_does_not_know(name: str) -> None:
    with pytest.raises(OracleError):
        validate_config(name, {"no_such_field": json.dumps(name)})


class Shouts(Oracle):
    """An oracle of another package."""

    def judge(self, case: Case) -> OracleAnswer:
        return right(case.answer.upper())


@pytest.fixture
def entry_point(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Install an entry point for an oracle."""

    def install(name: str, value: str) -> None:
        points = EntryPoints([EntryPoint(name, value, registry.ENTRY_POINT_GROUP)])
        monkeypatch.setattr(registry, "entry_points", lambda group: points.select(group=group))
        oracle_types.cache_clear()

    yield install
    monkeypatch.undo()
    oracle_types.cache_clear()


def test_a_package_brings_its_own_oracle(
    ask: Ask, entry_point: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys
    import types

    module = types.ModuleType("an_oracle_package")
    module.Shouts = Shouts  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "an_oracle_package", module)
    entry_point("shouts", "an_oracle_package:Shouts")
    assert ask("shouts", "hi").reason == "HI"


def test_a_package_cannot_take_the_name_of_another_oracle(entry_point: Any) -> None:
    entry_point("exact", "json:loads")
    with pytest.raises(OracleError, match="a name that is taken"):
        validate_config("regex", {"pattern": "x"})


def test_what_a_package_brings_must_be_an_oracle(entry_point: Any) -> None:
    entry_point("odd", "json:loads")
    with pytest.raises(OracleError, match="not a subclass of Oracle"):
        validate_config("regex", {"pattern": "x"})
