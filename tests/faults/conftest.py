"""Runs that meet faults, each in a folder of its own, and what they leave behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

import pytest_aprqa
from pytest_aprqa.artifact.convert import convert
from pytest_aprqa.artifact.digest import DigestCache
from pytest_aprqa.artifact.files import make_artifact
from pytest_aprqa.verdict.journal import read_journal
from pytest_aprqa.verdict.run_file import read_run
from pytest_aprqa.verdict.verify import Standing, verify_run
from pytest_aprqa.words import Format

ROOT = Path(__file__).parents[2]
BUILTIN = Path(pytest_aprqa.__file__).parent / "builtin/aprqa-reference"
IN_FRONT = Path(__file__).parent / "in_front"
WORKERS = ("-n0", "-n2")
EVERYTHING = "APRQA_ALL_FAULTS"
"""Environment variable: cause every fault with workers too."""

ABOUT_WORKERS = ("ctrl-c", "run-killed", "second-run", "worker-killed")
GRACE = 5.0
"""Seconds a process may take to end after the run that started it."""

PLAYBOOK = """\
name: {name}
model:
  hf_repo: aprqa/{name}
  local_path: {file}
  formats: [gguf]
test_matrix:
  modalities: [{modality}]
  backends: [cpu]
  timeout_ms: {timeout}
  scenario_count: {count}
scenarios: {scenarios}
failure_policy: collect-all
metadata: {{tier: smoke}}
"""


@dataclass
class Ended:
    """A run that is over."""

    status: int
    terminal: str
    seconds: float


@dataclass
class Folder:
    """A folder with playbooks and models, and the runs made in it."""

    path: Path
    workers: str
    ended: Ended | None = None

    @property
    def temporary(self) -> Path:
        return self.path / "tmp"

    def write(
        self,
        name: str,
        model: Path,
        *,
        scenarios: tuple[str, ...] = (),
        question: str = "2 + 2 =",
        modality: str = "run",
        timeout: int = 5000,
    ) -> Path:
        """Write a playbook with one question for each fault, or one question without any."""
        asked: list[dict[str, object]] = [
            {"name": fault, "prompt": f"{question} [fault: {fault}]", "oracles": []}
            for fault in scenarios
        ] or [{"name": "plain", "prompt": question, "oracles": []}]
        path = self.path / f"{name}.playbook.yaml"
        path.write_text(
            PLAYBOOK.format(
                name=name,
                file=model,
                modality=modality,
                timeout=timeout,
                count=len(asked),
                scenarios=json.dumps(asked),
            )
        )
        return path

    def start(self, *args: str, **variables: str) -> subprocess.Popen[str]:
        """Start pytest here, with the faults in front of its engines."""
        self.temporary.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs"]
        command += ["--aprqa-threads=1", "--aprqa-no-result-cache", self.workers, *args]
        return subprocess.Popen(
            command,
            cwd=self.path,
            env={
                **os.environ,
                "TMPDIR": str(self.temporary),
                "PYTHONPATH": os.pathsep.join((str(IN_FRONT), str(ROOT))),
                "APRQA_CACHE": str(self.path / "cache"),
                "COLUMNS": "200",
                **variables,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="surrogateescape",
        )

    def run(self, *args: str, **variables: str) -> Ended:
        """Run pytest here to its end."""
        started = time.monotonic()
        process = self.start(*args, **variables)
        terminal, _ = process.communicate(timeout=300)
        return Ended(process.returncode, terminal, time.monotonic() - started)

    def output(self, name: str) -> Path:
        """Return where the evidence of a playbook lies."""
        return self.path / "certifications" / name

    def records(self, name: str) -> dict[str, dict[str, Any]]:
        """Return the records of the concluded run of a playbook, by check."""
        content = json.loads((self.output(name) / "evidence.json").read_text())
        return {record["check"]: record for record in content["records"]}

    def left_behind(self) -> list[str]:
        """Return the processes and temporary files that outlived the runs made here."""
        give_up = time.monotonic() + GRACE
        while (processes := list(self._processes())) and time.monotonic() < give_up:
            time.sleep(0.05)
        files = [str(path) for path in self.temporary.iterdir() if "pytest-of-" not in path.name]
        return [*processes, *files]

    def _processes(self) -> Iterator[str]:
        for process in psutil.process_iter():
            try:
                if process.cwd() == str(self.path) and process.status() != psutil.STATUS_ZOMBIE:
                    yield f"{process.pid} {process.cmdline()}"
            except psutil.Error:
                continue


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference model as one GGUF file."""
    source = make_artifact(Format.SAFETENSORS, BUILTIN, "tests", DigestCache())
    return convert(source, Format.GGUF, tmp_path_factory.mktemp("gguf")).path


@pytest.fixture(scope="session")
def make_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Folder]:
    """Return a function that makes an empty folder for runs with so many workers."""

    def make(workers: str) -> Folder:
        path = tmp_path_factory.mktemp("run").resolve()
        (path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
        return Folder(path, workers)

    return make


@dataclass(frozen=True)
class Promise:
    """A row of the tables, by their columns."""

    outcome: str | None
    attribution: str | None
    words: str
    exits: tuple[int, ...] = (1,)


def _promise(row: dict[str, str]) -> Promise:
    return Promise(
        outcome=None if row["outcome"] == "-" else row["outcome"],
        attribution=None if row["attribution"] == "-" else row["attribution"],
        words=row["words"],
        exits=tuple(int(status) for status in row.get("exit", "1").split(",")),
    )


def read_tables() -> dict[str, dict[str, Promise]]:
    """Return the tables of docs/faults.md: fault by fault, section by section."""
    tables: dict[str, dict[str, Promise]] = {}
    section, columns = "", []
    for line in (ROOT / "docs/faults.md").read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("## "):
            section, columns = line.removeprefix("## "), []
        elif not line.startswith("|") or set(line) <= set("|- "):
            continue
        elif not columns:
            columns = cells
        else:
            row = dict(zip(columns, cells, strict=True))
            tables.setdefault(section, {})[row["fault"]] = _promise(row)
    return tables


@pytest.fixture(scope="session")
def tables() -> dict[str, dict[str, Promise]]:
    return read_tables()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "sections(*names): the tables whose rows the test is for")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of each row of its tables, without workers and with two of them."""
    modes = WORKERS if os.environ.get(EVERYTHING) else WORKERS[:1]
    sections = metafunc.definition.get_closest_marker("sections")
    if sections is not None:
        tables = read_tables()
        rows = [
            pytest.param(section, fault, tables[section][fault], mode, id=f"{fault}{mode}")
            for section in sections.args
            for fault in tables[section]
            for mode in (WORKERS if fault in ABOUT_WORKERS else modes)
        ]
        metafunc.parametrize(("section", "fault", "promise", "workers"), rows)
    elif "workers" in metafunc.fixturenames:
        metafunc.parametrize("workers", modes)


@pytest.fixture(scope="session")
def verified() -> Callable[..., None]:
    """Return a function that asserts that the evidence of a playbook is whole."""

    def verify(folder: Folder, playbook: str, *, times: int = 1) -> None:
        journal = folder.output(playbook) / "evidence.jsonl"
        content = (folder.output(playbook) / "evidence.json").read_bytes()
        run, found = read_run(folder.output(playbook) / "evidence.json"), read_journal(journal)
        failed = [p for p in verify_run(run, content, found) if p.standing is Standing.FAILED]
        assert failed == []
        counts = Counter(record.check for record in found.records)
        assert counts.keys() <= {check.check for check in run.plan.checks}
        assert set(counts.values()) <= set(range(1, times + 1))
        assert {record.check for record in run.records} == {c.check for c in run.plan.checks}

    return verify
