"""The plan as text."""

from __future__ import annotations

from collections.abc import Callable

from pytest_aprqa.playbook.describe import engine_tokens
from pytest_aprqa.playbook.load import LoadedPlaybook
from pytest_aprqa.playbook.plan import make_plan

Load = Callable[..., LoadedPlaybook]


def test_a_smoke_plan_is_told_in_full(load: Load) -> None:
    text = make_plan(load("", "sample-smoke.playbook.yaml")).describe()
    assert text.splitlines() == [
        "sample: org/model, cpu, failure policy stop-on-p0",
        "tier smoke: about 1 to 2 minutes, passed from 700 points",
        "16 checks, 3 of them scenarios",
        "3 distinct prompts, about 138 tokens",
        "",
        "gateways 5  QUAL 3  PERF 4  STAB 4",
        "",
        "  safetensors              1",
        "  safetensors-cpu         11",
        "  safetensors-cpu-run      3",
        "  whole run                1",
    ]


def test_what_is_missing_and_what_has_no_effect_stands_at_the_end(load: Load) -> None:
    extra = "test_matrix: {modalities: [run]}\nkernel_profile: {family: x}\n"
    text = make_plan(load(extra, "sample-mvp.playbook.yaml"), no_gpu=True).describe()
    assert "sample: org/model, cpu only, failure policy stop-on-p0" in text
    assert text.splitlines()[-2:] == [
        "  tier mvp has modalities that are not planned: chat, serve",
        "  line 5: kernel_profile: kernels are not observed; prompts are what test_matrix says",
    ]


def test_tokens_are_counted_for_questions_and_answers(load: Load) -> None:
    few = make_plan(load("test_matrix: {max_tokens: 8}"))
    many = make_plan(load("test_matrix: {max_tokens: 16}"))
    asked = sum(check.scenario is not None for check in few.checks)
    assert engine_tokens(many) - engine_tokens(few) == 8 * asked
