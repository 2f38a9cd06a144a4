"""Each condition becomes a closing check, judged wherever the plan measures what it names."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_aprqa.playbook.bindings import bindings
from pytest_aprqa.playbook.check import CheckKind
from pytest_aprqa.playbook.condition import parse_condition
from pytest_aprqa.playbook.load import LoadedPlaybook
from pytest_aprqa.playbook.plan import Plan, make_plan
from pytest_aprqa.words import Cell, GateSeverity, Tier

Load = Callable[..., LoadedPlaybook]
Problems = Callable[..., list[str]]
GATE = "falsification_gates:\n- {{id: a, condition: '{}'}}\n"


def test_a_gate_is_the_last_check_of_the_plan_with_its_line_and_severity(load: Load) -> None:
    gates = "- {id: F-1, condition: mqs > 1, severity: P0}\n- {id: F-2, condition: G3}\n"
    plan = make_plan(load(f"falsification_gates:\n{gates}", "sample-mvp.playbook.yaml"))
    first, second = plan.checks[-2:]
    assert (first.name, first.kind, first.subject) == (
        "gate-F-1",
        CheckKind.CONDITION,
        GateSeverity.P0,
    )
    assert (first.line, second.line, second.subject) == (4, 5, GateSeverity.P1)
    assert (first.cell, first.category, first.tiers) == (Cell(), None, frozenset(Tier))


def test_a_gate_of_which_nothing_is_planned_is_left_out_and_said_so(load: Load) -> None:
    text = GATE.format("tokens_per_second.gpu >= 2 * tokens_per_second.cpu")
    loaded = load(text, "sample-mvp.playbook.yaml")
    assert make_plan(loaded).checks[-1].name == "gate-a"
    plan = make_plan(loaded, no_gpu=True)
    assert plan.checks[-1].name == "G3"
    [notice] = plan.notices
    assert str(notice) == (
        "line 5: falsification_gates[0]: nothing that is planned here measures "
        "tokens_per_second.gpu; the gate is left out"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GATE.format("mqs"), "sample.playbook.yaml:5: falsification_gates[0].condition: `mqs` "),
        (GATE.format("speed > 1"), "falsification_gates[0].condition: 'speed' is no figure of a"),
        (GATE.format("kl_mean_nats.q8_0 < 1"), "'q8_0' cannot restrict 'kl_mean_nats'"),
        (GATE.format("mqs > 1") + "- {id: a, condition: G3}\n", "the id 'a' is taken"),
        (GATE.format("mqs > 1', severity: 'P3"), "found 'P3'; allowed: P0, P1, P2"),
        ("falsification_gates: [{id: a}]\n", "condition: is missing"),
    ],
)
def test_what_cannot_be_judged_is_refused_with_its_line(
    problems: Problems, text: str, said: str
) -> None:
    [problem] = problems(text)
    assert said in problem


@pytest.fixture
def plan(load: Load) -> Plan:
    return make_plan(load("  quantizations: [q4_0, q8_0]\n", "sample-mvp.playbook.yaml"))


def bound(plan: Plan, text: str) -> list[tuple[str, ...]]:
    condition = parse_condition(text, ("q4_0", "q8_0"))
    return [tuple(map(str, found.values())) for found in bindings(condition, plan.checks)]


def test_measurements_of_one_condition_are_of_one_artifact(plan: Plan) -> None:
    found = bound(plan, "tokens_per_second.gpu >= 2 * tokens_per_second.cpu")
    artifacts = ("safetensors", "apr.q4_0", "apr.q8_0", "gguf.q4_0", "gguf.q8_0")
    assert found == [tuple(f"tokens_per_second.{a}.{b}" for b in ("gpu", "cpu")) for a in artifacts]


def test_each_quantisation_is_compared_with_the_reference(plan: Plan) -> None:
    assert bound(plan, "memory_mb.gguf.cpu < memory_mb.safetensors.cpu") == [
        (f"memory_mb.gguf.{name}.cpu", "memory_mb.safetensors.cpu") for name in ("q4_0", "q8_0")
    ]
    assert bound(plan, "kl_mean_nats.q8_0 < kl_mean_nats.q4_0") == [
        tuple(f"kl_mean_nats.{form}.{name}" for name in ("q8_0", "q4_0"))
        for form in ("apr", "gguf")
    ]


def test_fidelity_is_judged_of_conversions_alone(plan: Plan) -> None:
    found = [name for (name,) in bound(plan, "kl_mean_nats < 1")]
    assert found == [f"kl_mean_nats.{f}.{q}" for f in ("apr", "gguf") for q in ("q4_0", "q8_0")]


def test_counts_and_scores_are_of_the_whole_part(plan: Plan) -> None:
    assert bound(plan, "pass_rate.gguf > 0 and mqs > 1 and G4.apr") == [
        ("pass_rate.gguf", "mqs", "G4.apr")
    ]
    assert bound(plan, "pass_rate.QUAL > 0 and load_ms.gguf.q8_0.cpu > 0") == [
        ("pass_rate.QUAL", "load_ms.gguf.q8_0.cpu")
    ]
