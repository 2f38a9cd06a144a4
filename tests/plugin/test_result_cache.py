"""What has not changed is not run again, and the certificate says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import pytest_aprqa

BUILTIN = Path(pytest_aprqa.__file__).parent / "builtin/aprqa-reference"

LOOK_BACK = {"G3"}


@pytest.fixture
def cached(session, monkeypatch):
    """A session over a copy of the model, with a result cache of its own."""
    monkeypatch.setenv("APRQA_NO_RESULT_CACHE", "")
    monkeypatch.setenv("APRQA_CACHE", str(session.path / "cache"))
    shutil.copytree(BUILTIN, session.path / "model")
    return session


def run(session, *args, playbook=None):
    text = (playbook or session.playbook).replace("builtin: aprqa-reference", "local_path: model")
    session.run("--no-gpu", *args, playbook=text)
    return session.evidence()


def reused(evidence):
    return set(evidence["certificate"]["reused"])


def test_a_second_run_uses_what_the_first_found_and_the_certificate_names_it(cached):
    first = run(cached)
    assert reused(first) == set()
    second = run(cached)
    names = {check["check"] for check in second["plan"]["checks"]}
    looked_back = {n for n in names if n in LOOK_BACK or "regression" in n or n == "answer-flips"}
    assert reused(second) == names - looked_back
    assert second["mqs"]["categories"][0] == first["mqs"]["categories"][0]
    before = {record["check"]: record for record in first["records"]}
    for record in second["records"]:
        if record["reused"]:
            assert record == before[record["check"]] | {"reused": True}


def test_no_result_cache_runs_every_check_again(cached):
    run(cached)
    assert reused(run(cached, "--no-result-cache")) == set()


def test_a_changed_prompt_is_asked_and_nothing_else(cached):
    run(cached)
    changed = cached.playbook.replace("2+2", "3+3")
    second = run(cached, playbook=changed)
    asked = {
        record["check"]
        for record in second["records"]
        if not record["reused"] and record["kind"] == "scenario"
    }
    scenarios = {
        check["check"] for check in second["plan"]["checks"] if check["kind"] == "scenario"
    }
    assert asked
    assert asked < scenarios
    assert not [r for r in second["records"] if r["kind"] == "stability" and not r["reused"]]


def test_a_changed_file_is_tested_again(cached):
    run(cached)
    config = cached.path / "model/config.json"
    content = json.loads(config.read_text())
    config.write_text(json.dumps(content | {"note": "changed"}))
    assert reused(run(cached)) == set()


def test_a_torn_result_is_found_out_again(cached):
    run(cached)
    for path in (cached.path / "cache/results").rglob("*.json"):
        path.write_bytes(path.read_bytes()[:100])
    assert reused(run(cached)) == set()


def test_a_check_that_the_engine_crashed_in_is_not_kept(cached):
    crash = """
import os, signal, pytest
from pytest_aprqa.engine import process

@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    if item.name.startswith("repeat["):
        started = [p for p in os.listdir("/proc") if p.isdigit()]
        for pid in started:
            try:
                told = open(f"/proc/{pid}/cmdline").read()
                parent = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1]
            except OSError:
                continue
            if "pytest_aprqa.engine.child" in told and int(parent) == os.getpid():
                os.kill(int(pid), signal.SIGSEGV)
    return (yield)
"""
    (cached.path / "conftest.py").write_text(crash)
    first = run(cached)
    crashed = {record["check"] for record in first["records"] if record["outcome"] == "crashed"}
    assert len(crashed) == 1
    (cached.path / "conftest.py").unlink()
    assert crashed.isdisjoint(reused(run(cached)))


def test_what_was_found_of_one_quantisation_is_not_told_of_another(cached):
    def quantised(names):
        return cached.playbook.replace("[gguf]", f"[gguf]\n  quantizations: {names}")

    first = run(cached, playbook=quantised("[q4_0, q8_0]"))
    digests = {r["artifact_digest"] for r in first["records"] if r["check"].startswith("G0")}
    second = run(cached, playbook=quantised("[q4_0, q8_0]"))
    assert {n for n in reused(second) if "[gguf-q8_0" in n}
    assert {n for n in reused(second) if "[gguf-q4_0" in n}
    told = {r["artifact_digest"] for r in second["records"] if r["check"].startswith("G0")}
    assert told == digests
    assert len(digests) == 2
