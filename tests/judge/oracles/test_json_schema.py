"""The oracle that holds JSON to a schema."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pytest_aprqa.judge.oracles import OracleAnswer, Ruling
from pytest_aprqa.observation import FinishReason

RIGHT, WRONG, NOT_APPLICABLE = Ruling.RIGHT, Ruling.WRONG, Ruling.NOT_APPLICABLE
LENGTH = FinishReason.LENGTH
Ask = Callable[..., OracleAnswer]

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("answer", "finish", "ruling"),
    [
        ('{"name": "Ada", "age": 36}', FinishReason.STOP, RIGHT),
        ('Here:\n```json\n{"name": "Ada"}\n```', FinishReason.STOP, RIGHT),
        ('{"age": 36}', FinishReason.STOP, WRONG),
        ('{"name": 5}', FinishReason.STOP, WRONG),
        ("Ada", FinishReason.STOP, WRONG),
        ('{"name": "Ad', LENGTH, NOT_APPLICABLE),
        ('{"name": "Ada", "born": 1815}', FinishReason.STOP, WRONG),
    ],
)
def test_json_is_held_to_its_schema(
    ask: Ask, answer: str, finish: FinishReason, ruling: Ruling
) -> None:
    assert ask("json_schema", answer, finish=finish, schema=SCHEMA).ruling is ruling


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_no_json(ask: Ask, constant: str) -> None:
    assert ask("json_schema", constant, schema={}).ruling is WRONG


ENDLESS = "(a|a|aa)+$"


@pytest.mark.parametrize(
    "schema",
    [
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "pattern": ENDLESS},
        {"patternProperties": {ENDLESS: True}},
        {"additionalProperties": False, "patternProperties": {ENDLESS: True}},
    ],
)
def test_a_pattern_of_a_schema_that_does_not_end_does_not_stop_the_run(
    ask: Ask, schema: Any
) -> None:
    text = "a" * 60 + "b"
    answer: Any = {text: 1} if "patternProperties" in schema else text
    given = ask("json_schema", json.dumps(answer), schema=schema)
    assert given.ruling is NOT_APPLICABLE
    assert "did not come to an end" in given.reason


@pytest.mark.parametrize(
    ("answer", "ruling"),
    [
        ({"x_a": 1}, RIGHT),
        ({"x_a": "1"}, WRONG),
        ({"y_a": 1}, WRONG),
        ({"id": "ab"}, RIGHT),
        ({"id": "AB"}, WRONG),
        ([], RIGHT),
    ],
)
def test_patterns_of_a_schema_hold(ask: Ask, answer: Any, ruling: Ruling) -> None:
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "properties": {"id": {"pattern": "^[a-z]+$"}},
        "patternProperties": {"^x_": {"type": "integer"}},
        "additionalProperties": False,
    }
    assert ask("json_schema", json.dumps(answer), schema=schema).ruling is ruling


def test_a_schema_that_refers_to_itself_without_end_is_not_applicable(ask: Ask) -> None:
    given = ask("json_schema", "{}", schema={"$ref": "#"})
    assert given.ruling is NOT_APPLICABLE
    assert "refers to itself" in given.reason


def test_a_schema_elsewhere_is_not_fetched(ask: Ask) -> None:
    given = ask("json_schema", "{}", schema={"$ref": "https://example.com/schema.json"})
    assert given.ruling is NOT_APPLICABLE
