from __future__ import annotations

import pytest

import pytest_aprqa.fleet.progress
from pytest_aprqa.fleet.progress import Progress
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.words import Backend, Cell, Format, Outcome


def evidence(outcome: Outcome) -> Evidence:
    return Evidence(check="x", gate_id="F-X", kind="scenario", outcome=outcome)


def test_a_line_now_and_then_says_how_far_the_whole_is(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    progress = Progress(said.append)
    progress.starts(models=1, checks=4, shards=2, machines=3)
    progress.recorded(evidence(Outcome.CORROBORATED))
    assert said == ["1 model, 4 checks to run in 2 shards on 3 machines"]
    monkeypatch.setattr(pytest_aprqa.fleet.progress, "INTERVAL", 0.0)
    progress.recorded(evidence(Outcome.FALSIFIED))
    assert said[1].startswith("2 of 4 checks done, 1 failed, ")
    progress.set_aside(2)
    assert said[2].startswith("4 of 4 checks done, 1 failed, ")


def test_a_lost_worker_is_named_with_its_shard() -> None:
    said: list[str] = []
    Progress(said.append).lost("org/m", Cell(Format.APR, Backend.CPU), OSError("gone"))
    assert said == ["org/m apr-cpu: lost its worker (OSError); what has no evidence runs again"]
