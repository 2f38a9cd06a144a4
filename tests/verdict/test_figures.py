"""The figures of a run are what its records tell, and nothing where they tell nothing."""

from __future__ import annotations

import pytest

from pytest_aprqa.playbook.check import CheckKind
from pytest_aprqa.playbook.figures import figure
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.figures import Figures
from pytest_aprqa.verdict.plan import PlannedCheck, RunPlan
from pytest_aprqa.words import Backend, Category, Format, Outcome, Tier


@pytest.mark.parametrize(
    ("name", "letters", "value"),
    [
        ("pass_rate", {"QUAL": "CCF", "EDGE": "C"}, (0.75, 0.75)),
        ("pass_rate.QUAL", {"QUAL": "CFSI", "EDGE": "C"}, (0.5, 0.5)),
        ("pass_rate.gguf.cpu", {"QUAL": "CF"}, (0.5, 0.5)),
        ("pass_rate.gpu", {"QUAL": "CF"}, None),
        ("pass_rate", {"QUAL": "SSI."}, None),
        ("failures", {"QUAL": "CFTX", "G1": "F"}, (3, 3)),
        ("crashes", {"QUAL": "CFTXy"}, (2, 2)),
        ("timeouts.QUAL", {"QUAL": "CFTX"}, (1, 1)),
        ("checks", {"QUAL": "CFS."}, (2, 2)),
        ("G1", {"QUAL": "C"}, True),
        ("G1", {"QUAL": "C", "G1": "CF"}, False),
        ("G1", {"QUAL": "C", "G1": "CE"}, None),
        ("G1.cpu", {"QUAL": "C", "G1": "Cy"}, True),
        ("G2", {"QUAL": "C", "G2": "T"}, False),
        ("mqs", {"QUAL": "C"}, (1000, 1000)),
        ("mqs", {"QUAL": "C", "G0": "F"}, (0, 0)),
        ("mqs", {"QUAL": "C", "EDGE": "S"}, None),
        ("mqs_normalised", {"QUAL": "C"}, (100, 100)),
        ("proven_pass_rate", {"QUAL": "F"}, (0, 0)),
        ("proven_pass_rate", {"QUAL": "S"}, None),
    ],
)
def test_what_is_counted_and_scored(story, name, letters, value) -> None:
    told = story(**letters)
    assert Figures(told.plan, told.records).value(figure(name, ())) == value


@pytest.mark.parametrize(
    ("metrics", "value"),
    [
        ({"load_seconds": 2.0, "load_seconds_low": 1.5, "load_seconds_high": 2.5}, (1500, 2500)),
        ({"load_seconds": 2.0}, (2000, 2000)),
        ({"load_seconds": float("nan")}, None),
        ({}, None),
    ],
)
def test_a_measurement_is_the_interval_that_was_recorded(metrics, value) -> None:
    check = PlannedCheck(
        check="load-time[gguf-q8_0-cpu]",
        gate_id="F-PERF-001",
        kind=CheckKind.PERFORMANCE,
        subject="load-time",
        category=Category.PERF,
        format=Format.GGUF,
        backend=Backend.CPU,
        quantization="q8_0",
    )
    plan = RunPlan(playbook="x", model_id="a/b", tier=Tier.MVP, threshold=700, checks=(check,))
    record = Evidence(
        **check.model_dump(exclude={"prompt_digest"}), outcome="falsified", metrics=metrics
    )
    figures = Figures(plan, [record])
    assert figures.value(figure("load_ms.gguf.q8_0", ("q8_0",))) == value
    assert figures.value(figure("load_ms.q4_0", ("q4_0",))) is None
    assert figures.value(figure("memory_mb", ())) is None
    assert record.outcome is Outcome.FALSIFIED
