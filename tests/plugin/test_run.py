from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

import pytest

from pytest_aprqa.run.checkout import check_checkout
from pytest_aprqa.verdict.journal import read_journal
from pytest_aprqa.verdict.rescore import rescore
from pytest_aprqa.verdict.run_file import read_run

SIGNAL_AT = """
import psutil
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    if item.name in {items}:
        for child in psutil.Process().children(recursive=True):
            if "pytest_aprqa.engine.child" in child.cmdline():
                child.send_signal({signal})
    return (yield)
"""


def record(session, check):
    return next(r for r in session.evidence()["records"] if r["check"] == check)


def test_a_run_leaves_evidence_that_scores_the_same_again(session):
    result = session.run()
    run = read_run(session.output / "evidence.json")
    assert not rescore(run).differences
    assert len(run.records) == len(run.plan.checks)
    assert {r.outcome for r in run.records if r.kind == "gateway"} == {"corroborated"}
    assert run.certificate.score == run.mqs.raw > 0
    assert all(sum(r.compared.values()) for r in run.records if r.outcome.passes)
    result.stdout.fnmatch_lines(["*certificate of aprqa/aprqa-reference*", "*Status*"])


def test_a_run_writes_reports_and_its_row_in_the_registry(session):
    session.run()
    with (session.path / "certifications/models.csv").open() as stream:
        [row] = csv.DictReader(stream)
    assert row["model_id"] == "aprqa/aprqa-reference"
    assert row["status"] == session.evidence()["certificate"]["status"]
    assert float(row["tps_gguf_cpu"]) > 0
    assert "<script" in (session.output / "report.html").read_text()
    assert (session.output / "report.md").is_file()


def test_gpu_cells_are_skipped_with_the_reason(session):
    playbook = session.playbook.replace("backends: [cpu]", "backends: [cpu, gpu]")
    result = session.run("-k", "gpu", "-rs", playbook=playbook)
    result.stdout.fnmatch_lines(["SKIPPED*tiny.playbook.yaml:1: no GPU: *"])
    assert result.parseoutcomes().keys() == {"skipped", "deselected"}


def test_a_selection_leaves_the_certificate_and_the_registry_alone(session):
    result = session.run("-k", "G0")
    assert result.ret == 0
    assert not (session.output / "evidence.json").exists()
    assert not (session.path / "certifications/models.csv").exists()
    partial = json.loads((session.output / "evidence.partial.json").read_text())
    assert [r["check"] for r in partial["records"]] == ["G0[gguf]"]
    result.stdout.fnmatch_lines(["*only 1 of * checks were selected*"])


def test_a_crash_of_the_engine_costs_one_check(session):
    session.pytester.makeconftest(
        SIGNAL_AT.format(items=["repeat[gguf-cpu]"], signal=int(signal.SIGSEGV))
    )
    session.run()
    crashed = record(session, "repeat[gguf-cpu]")
    assert (crashed["outcome"], crashed["flaky"]) == ("crashed", True)
    assert crashed["attempts"][0]["signal"] == "SIGSEGV"
    assert crashed["attempts"][1]["outcome"] == "corroborated"
    assert session.outcomes()["crashed"] == 1
    assert record(session, "cancellation[gguf-cpu]")["outcome"] == "corroborated"
    assert record(session, "G3")["outcome"] == "corroborated"


def test_a_crash_that_repeats_fails_g3(session):
    session.pytester.makeconftest(
        """
        import threading
        import psutil
        import pytest

        def kill_every_engine(stop):
            while not stop.wait(0.002):
                for child in psutil.Process().children(recursive=True):
                    try:
                        if "pytest_aprqa.engine.child" in child.cmdline():
                            child.send_signal(11)
                    except psutil.Error:
                        pass

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_call(item):
            stop = threading.Event()
            if item.name == "repeat[gguf-cpu]":
                threading.Thread(target=kill_every_engine, args=(stop,), daemon=True).start()
            try:
                return (yield)
            finally:
                stop.set()
        """
    )
    result = session.run()
    crashed = record(session, "repeat[gguf-cpu]")
    assert (crashed["outcome"], crashed["flaky"]) == ("crashed", False)
    assert [attempt["outcome"] for attempt in crashed["attempts"]] == ["crashed", "crashed"]
    assert record(session, "G3")["outcome"] == "falsified"
    assert session.evidence()["certificate"]["status"] == "BLOCKED"
    assert record(session, "cancellation[gguf-cpu]")["outcome"] == "corroborated"
    assert result.ret == 1


def test_a_hang_is_a_timeout_and_the_run_goes_on(session):
    session.pytester.makeconftest(
        SIGNAL_AT.format(items=["repeat[gguf-cpu]"], signal=int(signal.SIGSTOP))
    )
    session.run("--aprqa-check-timeout", "8")
    assert record(session, "repeat[gguf-cpu]")["outcome"] == "timeout"
    assert session.outcomes()["timeout"] == 1
    assert record(session, "cancellation[gguf-cpu]")["outcome"] == "corroborated"


def test_ctrl_c_keeps_the_evidence_and_ends_with_status_2(session):
    session.write()
    session.pytester.makeconftest(
        """
        import pathlib
        import pytest

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_call(item):
            if item.name == "repeat[gguf-cpu]":
                pathlib.Path("reached").touch()
            return (yield)
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"],
        cwd=session.path,
        stdout=subprocess.PIPE,
        text=True,
    )
    while not (session.path / "reached").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert "certificate of" in output
    evidence = session.evidence()
    assert evidence["interrupted"]
    assert evidence["certificate"]["status"] == "PARTIAL"
    assert record(session, "G2[gguf-cpu]")["outcome"] == "corroborated"
    assert record(session, "cancellation[gguf-cpu]")["reason"] == "not run: interrupted"


def test_a_run_that_executed_nothing_is_no_regression(session):
    session.run("-n", "0")
    result = session.run("-n", "0", "--model-path", str(session.path / "nowhere"))
    assert result.ret == 1
    run = json.loads((session.output / "evidence.partial.json").read_text("utf-8"))
    found = next(record for record in run["records"] if record["check"] == "score-regression")
    assert (found["outcome"], found["attribution"]) == ("inconclusive", "environment")
    assert "no check of this run came to a verdict" in found["reason"]


def test_a_model_that_is_nowhere_is_one_sentence_and_no_claim(session):
    playbook = session.playbook.replace("  builtin: aprqa-reference\n", "")
    result = session.run("-rs", playbook=playbook)
    [line] = [line for line in result.outlines if line.lstrip().startswith("Status")]
    assert "FAIL" in line
    result.stdout.fnmatch_lines(["*--model-path*"])
    result.stdout.no_fnmatch_line("*Traceback*")
    assert result.ret == 1
    assert not (session.path / "certifications/models.csv").exists()


def test_a_run_that_could_not_be_made_leaves_the_certificate_on_record_alone(session):
    session.run()
    before = {path.name: path.read_bytes() for path in session.output.iterdir()}
    registry = (session.path / "certifications/models.csv").read_bytes()
    for _ in range(2):
        result = session.run("--model-path=nowhere")
        assert result.ret == 1
        result.stdout.fnmatch_lines(
            ["*the run could not be made: the certificate on record and the registry stay*"]
        )
        after = {path.name: path.read_bytes() for path in session.output.iterdir()}
        assert {name: after[name] for name in before} == before
        assert (session.path / "certifications/models.csv").read_bytes() == registry
        partial = read_run(session.output / "evidence.partial.json")
        assert partial.certificate.status == "FAIL"
        journal = read_journal(session.output / "evidence.partial.jsonl")
        assert journal.head == partial.journal_head
    assert check_checkout(session.path).problems == []


def test_the_first_run_that_could_not_be_made_is_on_record_until_one_is_made(session):
    for _ in range(2):
        assert session.run("--model-path=nowhere").ret == 1
        assert session.evidence()["certificate"]["status"] == "FAIL"
    assert not (session.output / "evidence.partial.json").exists()
    session.run()
    assert session.evidence()["certificate"]["status"] != "FAIL"


@pytest.mark.parametrize(
    ("policy", "not_run"), [("stop-on-first", True), ("fail-fast", True), ("collect-all", False)]
)
def test_a_failure_policy_decides_what_still_runs(session, policy, not_run):
    session.pytester.makeconftest(
        SIGNAL_AT.format(items=["repeat[gguf-cpu]"], signal=int(signal.SIGSEGV))
    )
    session.run("--failure-policy", policy)
    later = record(session, "cancellation[gguf-cpu]")
    if not_run:
        assert later["outcome"] == "skipped"
        assert later["reason"] == f"policy: {policy} after repeat[gguf-cpu] crashed"
    else:
        assert later["outcome"] == "corroborated"


def test_junit_and_html_tell_the_verdict(session):
    session.run("--junitxml", "out.xml", "--html", "out.html", "-k", "G0 or G1")
    cases = ET.parse(session.path / "out.xml").getroot().iter("testcase")
    properties = {
        case.get("name"): {p.get("name"): p.get("value") for p in case.iter("property")}
        for case in cases
    }
    assert properties["G0[gguf]"]["aprqa.outcome"] == "corroborated"
    assert properties["G1[gguf-cpu]"]["aprqa.gate_id"] == "G1-LOAD"
    assert "corroborated" in (session.path / "out.html").read_text()


def test_no_file_is_left_in_the_temporary_folder(session, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    session.run("-k", "G2")
    assert not list(tmp_path.iterdir())


def test_fail_fast_leaves_a_bundle_to_look_into(session):
    session.pytester.makeconftest(
        SIGNAL_AT.format(items=["repeat[gguf-cpu]"], signal=int(signal.SIGSEGV))
    )
    session.run("--failure-policy", "fail-fast", "tiny.playbook.yaml")
    bundle = session.output / "diagnostics"
    assert json.loads((bundle / "record.json").read_text())["check"] == "repeat[gguf-cpu]"
    assert json.loads((bundle / "fingerprint.json").read_text())["tensors"]
    assert json.loads((bundle / "environment.json").read_text())["python"]
    assert "shows no hidden states" in (bundle / "layers.json").read_text()
    assert (bundle / "engine.log").stat().st_size
    command = (bundle / "reproduce.txt").read_text()
    assert command.startswith("pytest 'tiny.playbook.yaml::repeat[gguf-cpu]' ")
    assert "--failure-policy fail-fast" in command
    found = list(session.path.rglob("evidence.json"))
    assert found == [session.output / "evidence.json"], "a bundle is no run to validate or export"


def test_what_could_not_be_run_is_said_once_in_the_summary(session):
    result = session.run(playbook=session.playbook.replace("  builtin: aprqa-reference\n", ""))
    summary = result.stdout.str().partition("certificate of")[2].partition("short test")[0]
    assert summary.count("was not found") == 1
    assert "MQS" not in summary


def test_two_playbooks_of_one_model_run_one_after_the_other(session):
    session.write(session.playbook.replace("name: tiny", "name: other"), name="other")
    result = session.run("-k", "G0 or G1")
    assert result.stdout.str().count("certificate of") == 2
    result.assert_outcomes(passed=4, deselected=result.parseoutcomes()["deselected"])


def test_a_certificate_of_another_tier_is_nothing_to_compare_with(session):
    session.run("--tier", "quick")
    assert session.evidence()["plan"]["tier"] == "quick"
    session.run()
    evidence = session.evidence()
    assert "REGR" not in evidence["plan"]["categories"]
    assert evidence["certificate"]["status"] == "CERTIFIED"


def test_what_an_interrupted_run_left_is_nothing_to_compare_with(session):
    session.pytester.makeconftest(
        """
        def pytest_runtest_call(item):
            if item.name == "repeat[gguf-cpu]":
                raise KeyboardInterrupt
        """
    )
    session.run()
    (session.path / "conftest.py").unlink()
    session.run()
    evidence = session.evidence()
    assert "REGR" not in evidence["plan"]["categories"]
    assert evidence["certificate"]["status"] == "CERTIFIED"


COUNT_REPORTS = """
def pytest_terminal_summary(terminalreporter):
    kept = [r for reports in terminalreporter.stats.values() for r in reports if hasattr(r, "when")]
    print("kept", {r.when for r in kept}, {len(r.user_properties) for r in kept})
"""


def test_reports_that_nobody_shows_are_not_kept(session):
    session.pytester.makeconftest(COUNT_REPORTS)
    result = session.run("-rA")
    result.stdout.fnmatch_lines(["kept {'call'} {0}", "PASSED *::G0?gguf?", "=* passed*"])


def test_reports_whose_durations_are_shown_are_kept(session):
    session.pytester.makeconftest(COUNT_REPORTS)
    result = session.run("--durations=0", "-vv", "-k", "G0")
    assert "'teardown'" in result.stdout.str()
    result.stdout.fnmatch_lines(["*s teardown *::G0?gguf?"])


def test_what_is_printed_after_a_check_is_shown(session):
    session.pytester.makeconftest(
        """
        import pytest

        @pytest.fixture(autouse=True)
        def speaking():
            yield
            print("the last word")
        """
    )
    result = session.run("-rA", "-k", "G0")
    result.stdout.fnmatch_lines(["*Captured stdout teardown*", "the last word"])
