"""Oracle: the answer is JSON of a given shape."""

from __future__ import annotations

import json
from typing import Any, Self

from pydantic import Field, model_validator

from pytest_aprqa.judge.oracles.fences import fenced_blocks
from pytest_aprqa.judge.oracles.oracle import (
    Case,
    Oracle,
    OracleAnswer,
    not_applicable,
    right,
    wrong,
)
from pytest_aprqa.observation import FinishReason


class JsonSchema(Oracle):
    """The answer, or its one fenced block, is JSON that satisfies a JSON Schema.

    References to schemas elsewhere are not followed. Needs the package `jsonschema`.
    """

    schema_: dict[str, Any] = Field(alias="schema", description="JSON Schema, draft 2020-12")

    @model_validator(mode="after")
    def _is_a_schema(self) -> Self:
        try:
            from jsonschema import Draft202012Validator, SchemaError
        except ImportError:
            raise ValueError(
                "the oracle json_schema needs the package jsonschema; install it"
            ) from None
        try:
            Draft202012Validator.check_schema(self.schema_)
        except SchemaError as error:
            raise ValueError(f"not a JSON Schema: {error.message}") from None
        return self

    def judge(self, case: Case) -> OracleAnswer:
        """Parse the answer and validate it."""
        from jsonschema import Draft202012Validator
        from referencing import Registry
        from referencing.exceptions import Unresolvable

        expected = "JSON that satisfies the schema"
        blocks = fenced_blocks(case.answer)
        text = blocks[0].body if len(blocks) == 1 else case.answer
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            if case.finish is FinishReason.LENGTH:
                return not_applicable("the answer was cut off before its JSON ended")
            return wrong(f"the answer is not JSON: {error}", expected)
        validator = Draft202012Validator(self.schema_, registry=Registry())
        try:
            errors = list(validator.iter_errors(value))
        except Unresolvable as error:
            return not_applicable(
                f"the schema refers to another one, which is not followed: {error}"
            )
        if errors:
            return wrong(f"{errors[0].json_path}: {errors[0].message}", expected)
        return right("the JSON satisfies the schema", expected)
