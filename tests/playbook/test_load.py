"""A loaded playbook: its lines, its digest, its notices, and what must agree across fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_aprqa.playbook.load import LoadedPlaybook, PlaybookError, load_playbook

Load = Callable[..., LoadedPlaybook]
Problems = Callable[..., list[str]]

FILE = "sample.playbook.yaml"


def test_fields_know_their_lines(load: Load) -> None:
    loaded = load("test_matrix:\n  prompts:\n    - one\n    - prompt: two\n")
    assert loaded.line_of("model.hf_repo") == 2
    assert loaded.line_of("test_matrix.prompts[1]") == 6
    assert loaded.line_of("test_matrix.prompts[1].max_tokens") == 6
    assert loaded.line_of("profile_ci") == 0


@pytest.mark.parametrize(
    "same",
    [
        "# a comment\nfailure_policy: collect-all\ntest_matrix: {seed: 1, max_tokens: 8}\n",
        "test_matrix:\n  max_tokens: 8\n  seed: 1\nfailure_policy: collect_all\n",
        "failure_policy: 'collect-all'\n\ntest_matrix: {seed: 1, max_tokens: 8}  # why\n",
    ],
)
def test_the_digest_is_of_what_is_said_not_how(load: Load, same: str) -> None:
    plain = load("failure_policy: collect-all\ntest_matrix: {seed: 1, max_tokens: 8}\n")
    assert load(same).digest == plain.digest


def test_the_digest_changes_with_any_prompt(load: Load) -> None:
    digests = {
        load(f"test_matrix: {{prompts: [{prompt}]}}").digest for prompt in ("hi", "Hi", "hi!")
    }
    assert len(digests) == 3


def test_names_given_twice_are_told_with_who_has_them(problems: Problems) -> None:
    said = problems(
        "scenarios:\n  - {name: same, prompt: a}\n"
        "test_matrix:\n  prompts:\n    - {name: same, prompt: b}\n    - {name: same, prompt: c}\n"
    )
    assert said == [
        f"{FILE}:8: test_matrix.prompts[0]: the name 'same' is taken by scenarios[0]",
        f"{FILE}:9: test_matrix.prompts[1]: the name 'same' is taken by test_matrix.prompts[0]",
    ]


def test_the_names_of_edge_cases_are_reserved(problems: Problems) -> None:
    said = problems("scenarios:\n  - {name: edge-empty, prompt: a}\n")
    assert said == [
        f"{FILE}:5: scenarios[0]: the name 'edge-empty' is taken by the edge case of that name"
    ]


@pytest.mark.parametrize(
    ("machine", "field"),
    [
        ("{initial: b, states: [a]}", "initial"),
        ("{states: [a], transitions: [{from: a, to: b}]}", "transitions[0].to"),
        ("{states: {a: {transitions: [{event: e, target: b}]}}}", "states.a.transitions[0].target"),
    ],
)
def test_a_state_that_is_named_must_be_there(problems: Problems, machine: str, field: str) -> None:
    [said] = problems(f"state_machine: {machine}\n")
    assert said == f"{FILE}:4: state_machine.{field}: there is no state 'b'; there are a"


def only_sums(type_: str, config: Mapping[str, Any]) -> None:
    if type_ != "arithmetic":
        raise ValueError(f"there is no oracle {type_!r}")
    if unknown := set(config) - {"tolerance"}:
        raise ValueError(f"config.{unknown.pop()} is not a field")


def test_oracles_are_checked_by_whoever_knows_them(write: Callable[..., Path]) -> None:
    path = write(
        """\
        name: sample
        model: {hf_repo: org/model}
        oracles:
          - {type: arithmetic, config: {tolerance: 0.1}}
          - {type: psychic}
        scenarios:
          - name: a
            prompt: 2+2=
            oracles:
              - {type: arithmetic, config: {tolerence: 1}}
        """
    )
    with pytest.raises(PlaybookError) as caught:
        load_playbook(path, check_oracle=only_sums)
    said = str(caught.value).splitlines()
    assert said[0].endswith(f"{FILE}:5: oracles[1]: there is no oracle 'psychic'")
    assert said[1].endswith(f"{FILE}:10: scenarios[0].oracles[0]: config.tolerence is not a field")


def test_without_a_judge_oracles_are_taken_as_they_are(load: Load) -> None:
    [oracle] = load("oracles: [{type: ours, config: {any: thing}}]").playbook.oracles
    assert (oracle.spec().type, oracle.spec().config) == ("ours", {"any": "thing"})


def test_an_error_about_a_field_has_its_line(load: Load) -> None:
    error = load("failure_policy: collect-all").error("failure_policy", "does not fit")
    assert str(error).endswith(f"{FILE}:4: failure_policy: does not fit")
