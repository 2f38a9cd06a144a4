"""The command line in processes of its own, and one small certified model."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import pytest_aprqa
from pytest_aprqa.cli import main

ROOT = Path(__file__).parents[2]
BUILTIN = Path(pytest_aprqa.__file__).parent / "builtin" / "aprqa-reference"

PLAYBOOK = """\
name: tiny-mvp
version: "1.0.0"
model:
  hf_repo: aprqa/aprqa-reference
  builtin: aprqa-reference
  family: tiny
  formats: [gguf]
test_matrix:
  modalities: [run]
  backends: [cpu]
  prompts:
    - name: impossible
      prompt: "Say these words: $(touch pwned) `touch pwned`"
      expected: "$(touch pwned) 'quoted' `touch pwned`"
  max_tokens: 4
failure_policy: collect-all
contract_tests: {invariants: [I-2]}
metadata: {tier: mvp}
"""
"""One format on one engine, and a question that is answered wrong."""


@dataclass(frozen=True)
class Result:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def sentence(self) -> str:
        """The one line of an error."""
        [line] = self.err.splitlines()
        assert line.startswith("apr-qa: ")
        return line.removeprefix("apr-qa: ")


Cli = Callable[..., Result]


def run_process(*arguments: object, cwd: Path) -> Result:
    """Run `apr-qa` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest_aprqa.cli", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def process(tmp_path: Path) -> Cli:
    """Run `apr-qa` as a process in a directory of its own."""

    def run(*arguments: object, cwd: Path | None = None) -> Result:
        return run_process(*arguments, cwd=cwd or tmp_path)

    return run


@pytest.fixture
def cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Cli]:
    """Run `apr-qa` in this process, as its entry point does, in a directory of its own."""
    handler = signal.getsignal(signal.SIGINT)

    def run(*arguments: object, cwd: Path | None = None) -> Result:
        monkeypatch.chdir(cwd or tmp_path)
        monkeypatch.setattr(sys, "argv", ["apr-qa", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        assert "Traceback" not in err, err
        return Result(int(ended.value.code or 0), out, err)

    yield run
    signal.signal(signal.SIGINT, handler)


@dataclass(frozen=True)
class Certified:
    """A checkout in which one model was certified, and how that ended."""

    root: Path
    playbook: Path
    evidence: Path
    result: Result


@pytest.fixture(scope="session")
def certified(tmp_path_factory: pytest.TempPathFactory, artifact_cache: Path) -> Certified:
    """A real run over the model that ships with the package; tests leave it as it is."""
    root = tmp_path_factory.mktemp("checkout")
    (root / "pytest.ini").write_text("[pytest]\n")
    playbook = root / "playbooks" / "models" / "tiny-mvp.playbook.yaml"
    playbook.parent.mkdir(parents=True)
    playbook.write_text(PLAYBOOK)
    options = ["--no-gpu", "--threads", 1, "--timeout", 60000, "--output", "copies/tiny.json"]
    result = run_process("run", playbook.relative_to(root), *options, cwd=root)
    evidence = root / "certifications" / "aprqa-reference" / "evidence.json"
    return Certified(root, playbook, evidence, result)


@pytest.fixture(scope="session")
def builtin() -> Path:
    """Directory of the SafeTensors model that ships with the package."""
    return BUILTIN


@pytest.fixture(scope="session")
def checkout_root() -> Path:
    """The root of this repository."""
    return ROOT
