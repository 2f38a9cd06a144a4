"""`differential_tests`: what is asked for by name is planned, or it is said why not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_aprqa.playbook.check import CheckKind
from pytest_aprqa.playbook.load import LoadedPlaybook
from pytest_aprqa.playbook.plan import Plan, make_plan
from pytest_aprqa.words import Tier

Load = Callable[..., LoadedPlaybook]

NONE_NAMED = "contract_tests: {invariants: []}\n"


def invariants(plan: Plan) -> list[str]:
    return [check.name for check in plan.checks if check.kind is CheckKind.INVARIANT]


def asking(name: str, more: str = "") -> str:
    return f"{NONE_NAMED}differential_tests: {{{name}: {{enabled: true{more}}}}}\n"


@pytest.mark.parametrize(
    ("section", "labels"),
    [
        ("format_validation", ()),
        ("tensor_diff", ("I-2", "I-3", "I-4")),
        ("inference_compare", ("I-1",)),
        ("fingerprint", ("I-4",)),
        ("validate_stats", ("I-4",)),
    ],
)
def test_a_section_plans_the_invariants_that_make_its_comparison(
    load: Load, section: str, labels: tuple[str, ...]
) -> None:
    plan = make_plan(load(asking(section)), tier=Tier.MVP)
    wanted = [f"{label}[{format_}]" for format_ in ("apr", "gguf") for label in labels]
    assert sorted(invariants(plan)) == sorted(wanted)
    assert plan.notices == ()


def test_without_any_section_nothing_is_added(load: Load) -> None:
    assert invariants(make_plan(load(NONE_NAMED), tier=Tier.MVP)) == []


def test_the_prompt_of_a_comparison_is_asked_by_format_parity(load: Load) -> None:
    text = asking("inference_compare", ", prompt: Who?, max_tokens: 5")
    plan = make_plan(load(text), tier=Tier.MVP)
    params = [c.params for c in plan.checks if c.subject == "format"]
    assert params
    assert all(asked == {"prompt": "Who?", "max_tokens": 5} for asked in params)


def test_what_a_tier_does_not_compare_is_said_with_its_line(load: Load) -> None:
    [notice] = make_plan(load(asking("tensor_diff")), tier=Tier.SMOKE).notices
    assert (notice.field, notice.line) == ("differential_tests.tensor_diff", 4)
    assert "compares no formats" in notice.reason
