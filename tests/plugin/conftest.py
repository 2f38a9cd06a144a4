from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import scipy.special  # noqa: F401  # as the next import

import pytest_aprqa.plugin.recorder  # noqa: F401  # C extensions load once a process, and pytester forgets modules

PLAYBOOK = """\
name: tiny
version: "1.0.0"
model:
  hf_repo: aprqa/aprqa-reference
  builtin: aprqa-reference
  formats: [gguf]
test_matrix:
  modalities: [run, chat]
  backends: [cpu]
  scenario_count: 1
  prompts: ["What is 2+2?"]
failure_policy: collect-all
metadata: {tier: mvp}
"""


class Session:
    """A pytest session over one playbook, and the evidence it left."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path: Path = pytester.path
        pytester.makeini("[pytest]\nfilterwarnings = error\n")

    playbook = PLAYBOOK

    def write(self, text: str = PLAYBOOK, name: str = "tiny") -> Path:
        """Write a playbook and return its path."""
        path = self.path / f"{name}.playbook.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    def run(self, *args: str, playbook: str = PLAYBOOK) -> pytest.RunResult:
        """Run pytest in a process of its own over a playbook."""
        self.write(playbook)
        return self.pytester.runpytest_subprocess("-p", "no:cacheprovider", *args)

    def collect(self, *args: str, playbook: str = PLAYBOOK) -> list[str]:
        """Return the node ids that pytest would run."""
        self.write(playbook)
        result = self.pytester.runpytest_inprocess("--collect-only", "-q", *args)
        return [line for line in result.outlines if "::" in line]

    @property
    def output(self) -> Path:
        return self.path / "certifications/aprqa-reference"

    def evidence(self) -> dict[str, Any]:
        """Return the evidence file of the last run."""
        content: dict[str, Any] = json.loads((self.output / "evidence.json").read_text())
        return content

    def outcomes(self) -> dict[str, int]:
        """Return how many checks ended how."""
        return dict(Counter(record["outcome"] for record in self.evidence()["records"]))


@pytest.fixture
def session(pytester: pytest.Pytester) -> Session:
    return Session(pytester)
