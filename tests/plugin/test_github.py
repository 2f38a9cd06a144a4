"""A run in a job of GitHub Actions."""

from __future__ import annotations

import re

import pytest

ASKED = 'prompts: ["What is 2+2?"]'
NEVER = """\
prompts:
    - {name: never, prompt: "Say anything.", expected: "::error::this"}"""


@pytest.fixture
def job(session, monkeypatch, tmp_path):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(session.path))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    return session


def test_a_job_gets_annotations_and_a_summary_and_no_command_of_a_model(job, tmp_path):
    result = job.run("-k", "never or G1 or G4", playbook=job.playbook.replace(ASKED, NEVER))
    lines = result.outlines
    [begin] = [at for at, line in enumerate(lines) if line.startswith("::stop-commands::")]
    token = lines[begin].removeprefix("::stop-commands::")
    end = lines.index(f"::{token}::")
    commands = [at for at, line in enumerate(lines) if re.match(r"\s*::(error|notice)", line)]
    assert [at for at in commands if at < begin] == []
    told = [lines[at] for at in commands if at > end]
    assert told[0].startswith(
        "::error file=tiny.playbook.yaml,line=12,title=never[gguf-cpu-run]::falsified: "
    )
    assert told[-1].startswith("::error file=tiny.playbook.yaml,line=1,title=aprqa/aprqa-reference")
    summary = (tmp_path / "summary.md").read_text()
    assert summary.startswith("# aprqa/aprqa-reference: ")
    assert "never\\[gguf-cpu-run\\]" in summary


def test_elsewhere_nothing_is_said_to_github(session, monkeypatch):
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    result = session.run("-k", "G0")
    assert not [line for line in result.outlines if line.startswith("::")]
