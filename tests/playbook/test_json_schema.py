"""The JSON Schema that editors use."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pytest_aprqa.playbook.json_schema import schema, schema_text

Draft202012Validator = pytest.importorskip("jsonschema").Draft202012Validator
VALIDATOR = Draft202012Validator(schema())


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(schema())


def test_the_published_schema_is_the_one_in_the_code(playbooks: Path) -> None:
    published = (playbooks / "playbook.schema.yaml").read_text(encoding="utf-8")
    assert published == schema_text(), (
        "write it anew: python -c 'from pytest_aprqa.playbook.json_schema import schema_text; "
        'print(schema_text(), end="")\' > playbooks/playbook.schema.yaml'
    )


@pytest.mark.parametrize(
    "extra",
    [
        "gates: {g1_model_loads: 'true'}",
        "failure_policy: stop_on_p0",
        "test_matrix: {prompts: [2+2=, {prompt: hi, expected: [a, b]}, {prompt: hi, expected: a}]}",
        "property_tests: [{name: a, generator: b, oracle: c}]",
        "property_tests: {enabled: true}",
        "metadata: {tier: mvp, anything: [1, 2]}",
        "state_machine: {states: [a], transitions: [{from: a, to: a}]}",
    ],
)
def test_what_the_loader_accepts_the_schema_accepts(extra: str) -> None:
    VALIDATOR.validate(yaml.safe_load(f"name: x\nmodel: {{hf_repo: a/b}}\n{extra}\n"))


@pytest.mark.parametrize(
    "extra",
    [
        "unknown: 1",
        "failure_policy: sometimes",
        "test_matrix: {scenario_count: 0}",
        "test_matrix: {prompts: [{promt: hi}]}",
        "profile_ci: {assertions: {max_ttft_ms: -1}}",
        "model: {hf_repo: none}",
    ],
)
def test_what_the_loader_refuses_an_editor_marks(extra: str) -> None:
    document = {"name": "x", "model": {"hf_repo": "a/b"}} | yaml.safe_load(extra)
    assert not VALIDATOR.is_valid(document)
