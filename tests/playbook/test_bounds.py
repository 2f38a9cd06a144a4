"""Assertions of a playbook as bounds of measurements."""

from __future__ import annotations

import pytest

from pytest_aprqa.playbook.bounds import bounds_of
from pytest_aprqa.playbook.profile import Assertions
from pytest_aprqa.words import Backend

CPU, GPU = Backend.CPU, Backend.GPU


@pytest.mark.parametrize(
    ("assertions", "subject", "backend", "bounds"),
    [
        ({"max_load_ms": 1500}, "load-time", CPU, {"maximum": 1.5}),
        ({"max_ttft_ms": 250}, "time-to-first-token", CPU, {"maximum": 0.25}),
        ({"max_memory_mb": 512}, "peak-memory", CPU, {"maximum": 512}),
        ({"min_throughput": 3}, "decode-rate", CPU, {"minimum": 3}),
        ({"min_throughput": 3, "min_throughput_gpu": 30}, "decode-rate", GPU, {"minimum": 30}),
        ({"min_throughput": 3, "min_throughput_gpu": 30}, "decode-rate", CPU, {"minimum": 3}),
        ({"min_throughput_gpu": 0}, "decode-rate", GPU, {}),
        ({"min_throughput": 3, "min_throughput_cpu": 0}, "decode-rate", CPU, {}),
        ({"max_p99_ms": 1000}, "decode-rate", CPU, {}),
        ({"max_p99_ms": 1000}, "latency-p99", CPU, {"maximum": 1}),
        ({"max_p50_ms": 300}, "latency-p50", CPU, {"maximum": 0.3}),
        ({}, "load-time", CPU, {}),
        ({"max_load_ms": 0}, "load-time", CPU, {"maximum": 0}),
    ],
)
def test_a_bound_is_in_the_unit_of_its_measurement(
    assertions: dict[str, float], subject: str, backend: Backend, bounds: dict[str, float]
) -> None:
    assert bounds_of(Assertions.model_validate(assertions), subject, backend) == bounds
