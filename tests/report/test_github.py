"""Workflow commands and the summary of a job."""

from __future__ import annotations

import re

from pytest_aprqa.report import github
from pytest_aprqa.report.github import MOST_ANNOTATIONS, MOST_BYTES, job_summary, workflow_commands
from pytest_aprqa.words import Outcome

COMMAND = re.compile(r"::(error|notice) file=([^,:]+),line=(\d+),title=([^,:]*)::(.*)")
HOSTILE = "%0A\n::error::pwned\r\n::stop-commands::x\x1b[31m, a: b"


def told(run, **lines):
    commands = list(workflow_commands(run, "playbooks/tiny.playbook.yaml", lines))
    return [COMMAND.fullmatch(command) for command in commands]


def test_each_failure_is_an_error_at_its_line_and_the_verdict_comes_last(run_with):
    first, *_, last = told(run_with(), **{"sum[gguf-cpu-run]": 11})
    assert first.groups() == (
        "error",
        "playbooks/tiny.playbook.yaml",
        "12",
        "sum[gguf-cpu-run]",
        "falsified: seen in sum[gguf-cpu-run]",
    )
    assert last[1] == "error"
    assert last[5].startswith("BLOCKED, MQS 561 of 1000: MQS 561 is below 700")


def test_nothing_in_a_reason_ends_a_command_or_begins_another(run_with):
    for command in workflow_commands(run_with(text=HOSTILE), "a,b:c.yaml", {}):
        assert "\n" not in command
        assert "\r" not in command
        assert command.startswith(("::error file=a%2Cb%3Ac.yaml,line=1,", "::notice file="))
        assert "%0A" not in command.replace("%250A", "")


def test_github_is_told_no_more_than_it_shows(run_with, monkeypatch):
    monkeypatch.setattr(github, "MOST_ANNOTATIONS", 2)
    first, last = told(run_with())
    assert first[4] == "sum[gguf-cpu-run]"
    assert last[5].endswith("(2 more failed checks)")
    assert MOST_ANNOTATIONS == 10


def test_the_summary_has_the_verdict_the_matrix_and_the_failures(run_with):
    text = job_summary(run_with())
    assert text.startswith("# org/tiny: BLOCKED")
    assert "✗ 0/1 falsified" in text
    assert "| sum\\[gguf-cpu-run\\] | falsified | seen in sum\\[gguf-cpu-run\\] |" in text
    passed = job_summary(run_with(gguf=Outcome.CORROBORATED))
    assert "failed check" in passed  # one check of every run times out
    assert "sum\\[gguf" not in passed


def test_the_summary_of_a_hostile_run_is_text(run_with):
    text = job_summary(run_with(text="<script>alert(1)</script>\n# big\n| a | b |"))
    assert "<script>" not in text
    assert "\n# big" not in text


def test_a_summary_keeps_to_the_size_github_takes(run_with):
    text = job_summary(run_with(text="x" * MOST_BYTES))
    assert len(text.encode()) <= MOST_BYTES
    assert text.endswith("(cut: the report has it all)\n") or "more characters" in text
