"""A run that was cut off, at whatever moment, goes on and ends as if it had not been."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import pytest

import pytest_aprqa

BUILTIN = Path(pytest_aprqa.__file__).parent / "builtin/aprqa-reference"

ACCIDENTS = """
import os
import resource
import signal

import pytest

CONTROLLER = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()


def fill_the_disk():
    journal = "certifications/aprqa-reference/evidence.jsonl"
    room = os.stat(journal).st_size + 100
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))


def break_the_disk():
    from pytest_aprqa.verdict import journal

    def broken(descriptor):
        raise OSError(5, os.strerror(5))

    journal._flush = broken


def press_ctrl_c():
    raise KeyboardInterrupt


ACCIDENTS = {
    "kill the run": lambda: os.kill(CONTROLLER, signal.SIGKILL),
    "kill the worker": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "press Ctrl-C": press_ctrl_c,
    "fill the disk": fill_the_disk,
    "break the disk": break_the_disk,
}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    if item.name == os.environ.get("ACCIDENT_AT"):
        ACCIDENTS[os.environ["ACCIDENT"]]()
    return (yield)
"""


class Interrupted:
    """A session over a copy of the model that meets accidents."""

    def __init__(self, session, monkeypatch):
        self.session = session
        self.output = session.output
        self.journal = self.output / "evidence.jsonl"
        self.model = session.path / "model"
        self._monkeypatch = monkeypatch
        shutil.copytree(BUILTIN, self.model)
        session.pytester.makeconftest(ACCIDENTS)

    def run(self, *args, accident="", at="", playbook=None):
        self._monkeypatch.setenv("ACCIDENT", accident)
        self._monkeypatch.setenv("ACCIDENT_AT", at)
        return self.session.run(
            "tiny.playbook.yaml",
            "--model-path=model",
            "--aprqa-threads=1",
            *args,
            playbook=playbook or self.session.playbook,
        )

    def written(self):
        """Return the checks of the journal's records, in order."""
        lines = self.journal.read_bytes().split(b"\n")[1:-1]
        return [json.loads(line)["record"]["check"] for line in lines]

    def verdict(self, directory="certifications"):
        """Return what must not depend on whether a run was interrupted."""
        evidence = json.loads(
            (self.session.path / directory / "aprqa-reference/evidence.json").read_text()
        )
        outcomes = {r["check"]: (r["outcome"], r["answer"]) for r in evidence["records"]}
        return outcomes, evidence["mqs"]["raw"], evidence["certificate"]["status"]


@pytest.fixture
def interrupted(session, monkeypatch):
    return Interrupted(session, monkeypatch)


def test_a_run_cut_off_at_many_moments_ends_like_one_that_was_not(interrupted):
    whole = interrupted.run("--certifications=whole")
    killed = interrupted.run(accident="kill the run", at="G0[gguf]")
    assert killed.ret == -9
    assert not interrupted.journal.exists()

    interrupted.run("--resume", accident="kill the run", at="G4[gguf-cpu]")
    assert interrupted.written() == ["G0[gguf]", "G1[gguf-cpu]", "G2[gguf-cpu]"]

    torn = interrupted.journal.read_bytes()[:-7]
    interrupted.journal.write_bytes(torn)
    stopped = interrupted.run("--resume", accident="press Ctrl-C", at="load-time[gguf-cpu]")
    assert stopped.ret == pytest.ExitCode.INTERRUPTED
    stopped.stdout.fnmatch_lines(
        ["resumed: 2 of 26 checks *", "interrupted: 6 of 26 checks *--resume goes on*"]
    )
    assert interrupted.written()[2:] == [
        "G2[gguf-cpu]",
        "G4[gguf-cpu]",
        "prompt-001[gguf-cpu-run]",
        "prompt-001[gguf-cpu-chat]",
    ]

    full = interrupted.run("--resume", accident="fill the disk", at="cancellation[gguf-cpu]")
    assert full.ret == pytest.ExitCode.USAGE_ERROR
    full.stdout.fnmatch_lines(["*what was written before is whole, so make room and resume*"])
    full.stdout.fnmatch_lines(["the certificate could not be written: *give --resume"])
    full.stdout.no_fnmatch_line("*Traceback*")
    assert interrupted.written()[-1] == "long-generation[gguf-cpu]"

    interrupted.run("--resume", accident="kill the run", at="G3")
    assert len(interrupted.written()) == 25

    resumed = interrupted.run("--resume")
    assert set(Counter(interrupted.written()).values()) == {1}
    assert interrupted.verdict() == interrupted.verdict("whole")
    assert resumed.parseoutcomes() == whole.parseoutcomes()
    assert resumed.ret == whole.ret


def test_a_disk_that_breaks_costs_no_record_that_was_on_it(interrupted):
    interrupted.run("--certifications=whole")
    broken = interrupted.run(accident="break the disk", at="G1[gguf-cpu]")
    assert broken.ret == pytest.ExitCode.USAGE_ERROR
    broken.stdout.fnmatch_lines(["*Input/output error; what was written before is whole*"])
    broken.stdout.no_fnmatch_line("*Traceback*")
    assert interrupted.written() == ["G0[gguf]"]

    last = interrupted.run("--resume", accident="break the disk", at="G3")
    assert last.ret == pytest.ExitCode.USAGE_ERROR
    last.stdout.fnmatch_lines(["there is no certificate: *so make room and resume"])
    assert len(interrupted.written()) == 25

    interrupted.run("--resume")
    assert interrupted.verdict() == interrupted.verdict("whole")


def test_workers_resume_after_the_death_of_one_of_them_and_of_the_whole_run(interrupted):
    interrupted.run("--certifications=whole")
    interrupted.run("-n2", accident="kill the run", at="prompt-001[gguf-cpu-chat]")
    before = interrupted.written()
    assert "G0[gguf]" in before
    interrupted.run("-n2", "--resume", accident="kill the worker", at="repeat[gguf-cpu]")
    assert interrupted.verdict()[0]["repeat[gguf-cpu]"][0] == "inconclusive"
    interrupted.run("--resume")
    assert interrupted.verdict() == interrupted.verdict("whole")
    counts = Counter(interrupted.written())
    assert counts.keys() == interrupted.verdict()[0].keys()
    assert {name for name, count in counts.items() if count > 1} == {"repeat[gguf-cpu]", "G3"}


def test_what_is_on_record_is_reported_again_and_what_a_policy_gave_up_is_run(interrupted):
    playbook = interrupted.session.playbook.replace(
        '["What is 2+2?"]', '[{name: impossible, prompt: "Say: x", expected: "$(never) said"}]'
    ).replace("collect-all", "stop-on-first")
    stopped = interrupted.run(playbook=playbook)
    assert stopped.parseoutcomes()["failed"] == 1
    resumed = interrupted.run("--resume", "--junitxml=out.xml", "-rs", playbook=playbook)
    cases = {
        case.get("name"): case
        for case in ET.parse(interrupted.session.path / "out.xml").getroot().iter("testcase")
    }
    failed = cases["impossible[gguf-cpu-run]"]
    assert failed.find("failure") is not None
    assert failed.find("properties/property[@name='aprqa.resumed']") is not None
    fresh = cases["impossible[gguf-cpu-chat]"]
    assert fresh.find("properties/property[@name='aprqa.resumed']") is None
    assert interrupted.verdict()[0]["impossible[gguf-cpu-chat]"][0] == "falsified"
    resumed.stdout.fnmatch_lines(["*policy: stop-on-first after impossible?gguf-cpu-chat?*"])


def test_another_plan_is_refused_in_one_sentence(interrupted):
    interrupted.run("-k", "G0")
    before = (interrupted.output / "evidence.partial.jsonl").read_bytes()
    other = interrupted.session.playbook.replace("2+2", "2+3")
    refused = interrupted.run("-k", "G0", "--resume", playbook=other)
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stdout.fnmatch_lines(["*cannot be resumed: it was written for another plan *"])
    refused.stdout.no_fnmatch_line("*Traceback*")
    assert (interrupted.output / "evidence.partial.jsonl").read_bytes() == before


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_another_model_is_refused_in_one_sentence(interrupted, workers):
    interrupted.run("-k", "G0")
    weights = interrupted.model / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-2] ^= 1
    weights.write_bytes(content)
    refused = interrupted.run("-k", "G0", "--resume", workers)
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stdout.fnmatch_lines(["*the run cannot be resumed: * has changed since, its digest *"])
    refused.stdout.no_fnmatch_line("*Traceback*")


def test_an_unfinished_run_that_is_not_resumed_is_kept(interrupted):
    interrupted.run(accident="kill the run", at="G1[gguf-cpu]")
    before = interrupted.journal.read_bytes()
    anew = interrupted.run(accident="press Ctrl-C", at="G0[gguf]")
    anew.stdout.no_fnmatch_line("*unfinished run*")
    anew = interrupted.run(accident="press Ctrl-C", at="G1[gguf-cpu]")
    anew.stdout.fnmatch_lines(
        ["an unfinished run (25 checks without a record) is kept as evidence.jsonl.previous; *"]
    )
    assert interrupted.journal.with_name("evidence.jsonl.previous").read_bytes() == before


def test_a_selection_leaves_the_journal_of_the_whole_run_alone(interrupted):
    interrupted.run(accident="kill the run", at="G2[gguf-cpu]")
    before = interrupted.journal.read_bytes()
    interrupted.run("-k", "G0")
    assert interrupted.journal.read_bytes() == before


def test_nothing_is_written_when_tests_are_only_collected(interrupted):
    interrupted.run("--resume", "--collect-only")
    interrupted.run("--resume", "--aprqa-plan")
    assert not interrupted.output.exists()
