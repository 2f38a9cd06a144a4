"""Oracle: the answer is JSON of a given shape."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from pytest_aprqa.judge.oracles import strict_json
from pytest_aprqa.judge.oracles.fences import fenced_blocks
from pytest_aprqa.judge.oracles.oracle import (
    Case,
    Oracle,
    OracleAnswer,
    not_applicable,
    right,
    wrong,
)
from pytest_aprqa.judge.oracles.text import REGEX_SECONDS
from pytest_aprqa.judge.oracles.timed_schema import first_error
from pytest_aprqa.observation import FinishReason


class JsonSchema(Oracle):
    """The answer, or its one fenced block, is JSON that satisfies a JSON Schema.

    References to schemas elsewhere are not followed, and the patterns of the schema end after a
    second together. Needs the package `jsonschema`.
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
            Draft202012Validator.check_schema(
                self.schema_, format_checker=Draft202012Validator.FORMAT_CHECKER
            )
        except SchemaError as error:
            raise ValueError(f"not a JSON Schema: {error.message}") from None
        return self

    def judge(self, case: Case) -> OracleAnswer:
        """Parse the answer and validate it."""
        from referencing.exceptions import Unresolvable

        expected = "JSON that satisfies the schema"
        blocks = fenced_blocks(case.answer)
        text = blocks[0].body if len(blocks) == 1 else case.answer
        try:
            value = strict_json.loads(text)
        except (ValueError, RecursionError) as error:
            if case.finish is FinishReason.LENGTH:
                return not_applicable("the answer was cut off before its JSON ended")
            return wrong(f"the answer is not JSON: {error}", expected)
        try:
            flaw = first_error(self.schema_, value)
        except Unresolvable as elsewhere:
            return not_applicable(
                f"the schema refers to another one, which is not followed: {elsewhere}"
            )
        except RecursionError:
            return not_applicable("the schema refers to itself without end")
        except TimeoutError:
            return not_applicable(
                f"the patterns of the schema did not come to an end within {REGEX_SECONDS:g} s"
            )
        return wrong(flaw, expected) if flaw else right("the JSON satisfies the schema", expected)
