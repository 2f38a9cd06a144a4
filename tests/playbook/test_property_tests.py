"""What a playbook's `property_tests` plan."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_aprqa.playbook.check import Check, CheckKind
from pytest_aprqa.playbook.load import LoadedPlaybook
from pytest_aprqa.playbook.plan import make_plan

Load = Callable[..., LoadedPlaybook]


def planned(loaded: LoadedPlaybook) -> list[Check]:
    plan = make_plan(loaded, no_gpu=True)
    return [check for check in plan.checks if check.kind is CheckKind.PROPERTY]


@pytest.mark.parametrize(
    ("generator", "family"),
    [
        ("arithmetic(a: i32, b: i32, op: +|-|*)", "arithmetic"),
        ("code_prompt(lang: python|rust)", "code"),
        ("multi_turn", "multi-turn"),
        ("kernel_rope()", "kernel-rope"),
    ],
)
def test_a_generator_names_a_family_and_is_asked_once_in_each_format(
    load: Load, generator: str, family: str
) -> None:
    loaded = load(
        f'property_tests: [{{name: a, generator: "{generator}", oracle: right, count: 7}}]'
    )
    checks = planned(loaded)
    assert [check.name for check in checks] == [
        f"property-01-{family}[{format_}-cpu-run]" for format_ in ("safetensors", "apr", "gguf")
    ]
    assert {(check.params["family"], check.params["count"]) for check in checks} == {(family, 7)}
    assert make_plan(loaded).notices == ()


def test_a_generator_nobody_knows_is_told_with_its_line_and_the_families_there_are(
    load: Load,
) -> None:
    loaded = load("\nproperty_tests: [{name: a, generator: haiku(), oracle: nice}]")
    assert planned(loaded) == []
    [notice] = make_plan(loaded).notices
    assert (notice.field, notice.line) == ("property_tests[0].generator", 4)
    assert "arithmetic, code, fact" in notice.reason


def test_switched_on_as_a_whole_every_family_gets_its_share(load: Load) -> None:
    checks = planned(load("property_tests: {enabled: true, cases: 80, max_shrink_iters: 9}"))
    assert len(checks) == 3 * 8
    assert {(c.params["count"], c.params["max_shrinks"]) for c in checks} == {(10, 9)}
    assert planned(load("property_tests: {enabled: false, cases: 80}")) == []


def test_the_seed_of_the_playbook_is_that_of_the_questions(load: Load) -> None:
    test = "property_tests: [{name: a, generator: fact(), oracle: c}]"
    [check, *_] = planned(load(f"test_matrix: {{seed: 7}}\n{test}"))
    assert check.params["seed"] == 7
