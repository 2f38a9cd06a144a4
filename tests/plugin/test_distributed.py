from __future__ import annotations

import json

import pytest

from pytest_aprqa.plugin.nodeid import is_closing, load_group


def outcomes(session):
    evidence = session.evidence()
    return {r["check"]: r["outcome"] for r in evidence["records"]}, evidence["mqs"]["raw"]


def test_two_workers_come_to_the_same_outcomes_and_score(session):
    playbook = session.playbook.replace("[gguf]", "[safetensors, gguf]")
    session.run("-n", "0", playbook=playbook)
    alone = outcomes(session)
    for path in session.output.iterdir():
        path.unlink()
    session.run("-n", "2", playbook=playbook)
    assert outcomes(session) == alone


def test_a_dead_worker_costs_one_check(session):
    session.pytester.makeconftest(
        """
        import os
        import signal
        import pytest

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_call(item):
            if item.name == "repeat[gguf-cpu]":
                os.kill(os.getpid(), signal.SIGKILL)
            return (yield)
        """
    )
    result = session.run("-n", "2", "--junitxml", "out.xml")
    found, _ = outcomes(session)
    assert found["repeat[gguf-cpu]"] == "inconclusive"
    assert found["cancellation[gguf-cpu]"] == "corroborated"
    assert found["G3"] == "corroborated"
    assert result.ret == 1


def test_sessions_without_playbooks_are_scheduled_by_xdist_itself(pytester):
    pytester.makepyfile(
        "import pytest\n@pytest.mark.parametrize('n', range(9))\ndef test_n(n): pass"
    )
    result = pytester.runpytest_subprocess("-n", "2")
    result.assert_outcomes(passed=9)


@pytest.mark.parametrize(
    ("nodeid", "group"),
    [
        ("a/x.playbook.yaml::arithmetic-001[gguf-cpu-run]", "a/x.playbook.yaml gguf-cpu"),
        ("x.playbook.yaml::G1[apr-gpu]", "x.playbook.yaml apr-gpu"),
        ("x.playbook.yaml::I-4[gguf]", "x.playbook.yaml gguf-cpu"),
        ("test_x.py::test_a[1]", "test_x.py::test_a[1]"),
    ],
)
def test_checks_of_one_artifact_and_backend_are_one_load_group(nodeid, group):
    assert load_group(nodeid) == group


def test_checks_without_a_cell_close_the_run():
    assert is_closing("x.playbook.yaml::G3")
    assert not is_closing("x.playbook.yaml::G0[gguf]")
    assert not is_closing("test_x.py::test_a")


def test_the_journal_holds_what_the_workers_found(session):
    session.run("-n", "2")
    lines = (session.output / "evidence.jsonl").read_text().splitlines()
    names = [json.loads(line)["record"]["check"] for line in lines[1:]]
    assert sorted(names) == sorted(r["check"] for r in session.evidence()["records"])
    assert names[-1] == "G3"
