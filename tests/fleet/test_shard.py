from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_aprqa.fleet.shard import (
    Order,
    carry_out_shard,
    checks_of,
    group_of,
    groups_of,
    only_open,
)
from pytest_aprqa.playbook.check import CheckKind
from pytest_aprqa.run.planning import PlannedPlaybook
from pytest_aprqa.words import Backend, Cell, FailurePolicy, Format, Outcome

GGUF = Cell(Format.GGUF, Backend.CPU)
REFERENCE = Cell(Format.SAFETENSORS, Backend.CPU)


@pytest.fixture
def both(ships: Any) -> PlannedPlaybook:
    """A plan of two formats."""
    path = ships.playbook("one")
    path.write_text(
        path.read_text("utf-8").replace("[gguf]", "[safetensors, gguf]"), encoding="utf-8"
    )
    planned: PlannedPlaybook = ships.plan(path)
    return planned


def test_every_check_belongs_to_one_shard_or_looks_back(both: PlannedPlaybook) -> None:
    groups = groups_of(both.plan)
    assert groups == (REFERENCE, GGUF)
    names = [c.name for group in (*groups, None) for c in checks_of(both.plan, group)]
    assert sorted(names) == sorted(check.name for check in both.plan.checks)
    assert [check.name for check in checks_of(both.plan, None)] == ["G3"]


def test_a_check_of_files_goes_with_the_format_on_the_cpu(both: PlannedPlaybook) -> None:
    by_name = {check.name: check for check in both.plan.checks}
    assert group_of(by_name["I-2[gguf]"]) == GGUF
    assert group_of(by_name["G0[gguf]"]) == GGUF


def test_each_quantisation_is_a_shard_of_its_own(ships: Any) -> None:
    path = ships.playbook("one")
    text = path.read_text("utf-8").replace("[gguf]", "[gguf]\n  quantizations: [q4_0, q8_0]")
    path.write_text(text, encoding="utf-8")
    groups = [str(group) for group in groups_of(ships.plan(path).plan)]
    assert groups == ["gguf-q4_0-cpu", "gguf-q8_0-cpu"]


def test_answered_questions_are_not_asked_again_nor_their_twins(both: PlannedPlaybook) -> None:
    checks = checks_of(both.plan, GGUF)
    questions = [check for check in checks if check.scenario]
    done = frozenset(check.name for check in questions[:-1])
    left = only_open(both.plan, [c for c in checks if c.name not in done], done)
    asked = {check.name for check in left.checks if check.kind is CheckKind.SCENARIO}
    last = questions[-1].scenario
    assert last is not None
    assert questions[-1].name in asked
    assert all(name.startswith(f"{last.name}[") for name in asked)
    others = [check for check in both.plan.checks if check.kind is not CheckKind.SCENARIO]
    assert [c for c in left.checks if c.kind is not CheckKind.SCENARIO] == others


def test_a_shard_yields_the_evidence_of_its_open_checks_in_order(ships: Any) -> None:
    planned = ships.plan(ships.playbook("one"))
    names = [check.name for check in checks_of(planned.plan, GGUF)]
    done = frozenset(names[2:])
    order = Order(GGUF, done, (), ships.settings(), ships.traced())
    evidence = [parcel.evidence() for parcel in carry_out_shard(planned, order)]
    assert [record.check for record in evidence] == names[:2]
    assert {record.outcome for record in evidence} == {Outcome.CORROBORATED}


def test_gateways_that_are_known_are_not_asked_again(ships: Any) -> None:
    planned = ships.plan(ships.playbook("one"))
    names = [check.name for check in checks_of(planned.plan, GGUF)]
    gateways = [name for name in names if name.startswith("G")]
    first = Order(GGUF, frozenset(names) - {*gateways}, (), ships.settings(), ships.traced())
    known = tuple(parcel.evidence() for parcel in carry_out_shard(planned, first))
    assert [record.check for record in known] == gateways
    broken = known[0].model_copy(update={"outcome": Outcome.FALSIFIED, "reason": "of old"})
    question = next(name for name in names if name.endswith("-run]"))
    second = replace(first, done=frozenset(names) - {question}, gateways=(broken, *known[1:]))
    [parcel] = carry_out_shard(planned, second)
    assert parcel.evidence().outcome is Outcome.SKIPPED
    assert parcel.evidence().reason == f"{gateways[0]} falsified: of old"


def test_fail_fast_sends_its_diagnostics_along(ships: Any) -> None:
    path = ships.playbook("one", policy=FailurePolicy.FAIL_FAST)
    path.write_text(
        path.read_text("utf-8").replace(
            '["What is 2+2?",', '[{name: wrong, prompt: "Say 7", expected: "never said"},'
        ),
        encoding="utf-8",
    )
    planned = ships.plan(path)
    names = [check.name for check in checks_of(planned.plan, GGUF)]
    done = frozenset(names) - {"wrong[gguf-cpu-run]"}
    [parcel] = carry_out_shard(planned, Order(GGUF, done, (), ships.settings(), ships.traced()))
    assert parcel.evidence().outcome is Outcome.FALSIFIED
    assert "reproduce.txt" in parcel.bundle
    assert b"wrong[gguf-cpu-run]" in parcel.bundle["reproduce.txt"]
