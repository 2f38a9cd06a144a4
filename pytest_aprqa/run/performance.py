"""Measure a loaded engine that does nothing else: load time, first token, decode rate, memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_aprqa.engine.protocol import Engine, Request
from pytest_aprqa.judge.judgement import Judgement
from pytest_aprqa.judge.performance import Measurement, judge_bound, judge_percentile
from pytest_aprqa.observation import Generation
from pytest_aprqa.playbook.check import Check
from pytest_aprqa.run.observed import Observed

if TYPE_CHECKING:
    from pytest_aprqa.run.laboratory import Laboratory

PROMPT = "The quick brown fox jumps over the lazy dog, and then"
TOKENS = 24
WARM_UP_TOKENS = 4
MIB = 1024 * 1024
PERCENTILES = {"latency-p50": 0.50, "latency-p99": 0.99}
"""Share of the generations that keep the bound, by subject."""


def run(check: Check, laboratory: Laboratory) -> Observed:
    """Take one measurement and hold it against the playbook's bound, if it sets one."""
    loaded = laboratory.load(check)
    laboratory.quiet()
    measurement = _measure(check, laboratory)
    return Observed(
        judgement=_judge(check, measurement),
        metrics={f"{measurement.name}_{measurement.unit}": measurement.mean},
        observation={"samples": list(measurement.samples), "unit": measurement.unit},
        engine=loaded.engine,
        artifact_digest=laboratory.digest(check.cell),
    )


def _judge(check: Check, measurement: Measurement) -> Judgement:
    if share := PERCENTILES.get(check.subject):
        return judge_percentile(measurement, share=share, maximum=check.params["maximum"])
    return judge_bound(
        measurement,
        minimum=check.params.get("minimum"),
        maximum=check.params.get("maximum"),
    )


def _measure(check: Check, laboratory: Laboratory) -> Measurement:
    if check.subject == "load-time":
        return Measurement("load", (laboratory.load(check).seconds,), "seconds")
    engine = laboratory.engine(check.cell)
    if check.subject == "peak-memory":
        laboratory.load(check)
        return Measurement("peak_memory", (engine.peak_memory() / MIB,), "mebibytes")
    samples = laboratory.once(
        ("stream", str(check.cell)), lambda: _samples(check, engine, laboratory.timeout(check))
    )
    if check.subject == "time-to-first-token":
        first = tuple(g.seconds_to_first_token or g.seconds for g in samples)
        return Measurement("time_to_first_token", first, "seconds")
    if check.subject in PERCENTILES:
        return Measurement("generation", tuple(g.seconds for g in samples), "seconds")
    return Measurement("decode", tuple(map(decode_rate, samples)), "tokens_per_second")


def _samples(check: Check, engine: Engine, limit: float) -> list[Generation]:
    """Stream the same generation several times, after a warm-up that is thrown away."""
    request = Request(prompt=PROMPT, max_tokens=TOKENS)
    for _ in range(check.params.get("warmup", 1)):
        engine.stream(replace(request, max_tokens=WARM_UP_TOKENS), limit)
    return [engine.stream(request, limit) for _ in range(check.params.get("measure", 3))]


def decode_rate(generation: Generation) -> float:
    """Return tokens per second after the first token; NaN when there was no second one."""
    tokens = len(generation.token_ids or ()) - 1
    seconds = generation.seconds - (generation.seconds_to_first_token or 0.0)
    return tokens / seconds if tokens > 0 and seconds > 0 else float("nan")
