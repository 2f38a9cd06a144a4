"""Carry out thousands of checks in one session, and say what it holds on to.

    python benchmarks/soak.py                    # 5,000 checks; exit status 1 when something grows
    python benchmarks/soak.py --checks 1000 -o benchmarks/results/soak.json

The checks are questions to the model that ships with this package, each asked over HTTP (whole and
streamed) and of the engine itself. After every 100 records the memory, open files, threads and
processes of pytest and of its engine are read from the system. Growth of memory is that of the mean
of the last tenth over the mean of the 500 checks after the first 500. Beside it stands what pytest
alone holds on to in a session of as many tests that do nothing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import psutil
from figures import deliver

CHECKS = 5000
WARM_UP = 500
EVERY = 100
MOST_GROWTH = 0.05
PLAYBOOK = """\
name: soak
model: {{hf_repo: aprqa/soak, builtin: aprqa-reference, formats: [gguf]}}
test_matrix:
  modalities: [serve]
  backends: [cpu]
  scenario_count: {count}
  max_tokens: 8
  prompts:
{prompts}
failure_policy: collect-all
metadata: {{tier: smoke}}
"""
JOURNAL = Path("certifications/soak/evidence.jsonl")
NOTHING = """\
import pytest


@pytest.fixture(scope="module")
def journal():
    with open("{journal}", "a", buffering=1) as file:
        yield file


@pytest.mark.parametrize("number", range({count} + 1))
def test_nothing(number, journal):
    journal.write("\\n")
"""


@dataclass(frozen=True)
class Sample:
    """What the session held at one moment.

    Attributes:
        checks: records in the journal.
        pytest, engine: resident bytes.
        files, threads, processes: of pytest and its engine together.
    """

    checks: int
    pytest: int
    engine: int
    files: int
    threads: int
    processes: int


def write_playbook(folder: Path, checks: int) -> None:
    """Write a playbook of so many questions."""
    lines = [f'    - {{prompt: "What is {n // 97}+{n % 97}?", oracles: []}}' for n in range(checks)]
    text = PLAYBOOK.format(count=checks, prompts="\n".join(lines))
    (folder / "soak.playbook.yaml").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\n")


def write_nothing(folder: Path, checks: int) -> None:
    """Write a module of so many tests that only write a line, as a check writes its record."""
    (folder / JOURNAL).parent.mkdir(parents=True)
    (folder / "test_nothing.py").write_text(NOTHING.format(journal=JOURNAL, count=checks))
    (folder / "pytest.ini").write_text("[pytest]\n")


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Start the session."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n0"]
    command += ["--aprqa-threads=1", "--aprqa-no-result-cache", "--aprqa-no-early-stop"]
    return subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "APRQA_CACHE": str(folder / "cache")},
    )


def sample(process: psutil.Process, checks: int) -> Sample:
    """Read what the session holds now. Raises psutil.Error when a process has just ended."""
    engines = process.children(recursive=True)
    everyone = [process, *engines]
    return Sample(
        checks=checks,
        pytest=process.memory_info().rss,
        engine=sum(engine.memory_info().rss for engine in engines),
        files=sum(member.num_fds() for member in everyone),
        threads=sum(member.num_threads() for member in everyone),
        processes=len(everyone),
    )


def observe(folder: Path, checks: int) -> list[Sample]:
    """Run the session to its end, and return a sample for every so many checks."""
    session = start(folder)
    process = psutil.Process(session.pid)
    journal = folder / JOURNAL
    samples: list[Sample] = []
    due, read, records = EVERY, 0, -1  # the first line is no record
    while session.poll() is None:
        time.sleep(0.05)
        if journal.is_file():
            with journal.open("rb") as file:
                file.seek(read)
                new = file.read()
            read, records = read + len(new), records + new.count(b"\n")
        if records < due or records > checks:
            continue
        try:
            samples.append(sample(process, records))
        except psutil.Error:
            continue
        print(_row(samples[-1]), flush=True)
        due = records + EVERY
    return samples


def _row(held: Sample) -> str:
    return (
        f"{held.checks:7} {held.pytest / 2**20:8.1f} {held.engine / 2**20:8.1f} "
        f"{held.files:6} {held.threads:8} {held.processes:10}"
    )


def soak(write: Callable[[Path, int], None], checks: int) -> list[Sample]:
    """Write a session into a fresh folder, run it, and return its samples."""
    print(f"{'checks':>7} {'pytest':>8} {'engine':>8} files  threads  processes   (MiB)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        write(folder, checks)
        return observe(folder, checks)


def growth(held: list[tuple[int, int]]) -> float:
    """Return by what share the last tenth exceeds the 500 checks after the warm-up."""
    before = mean(size for checks, size in held if WARM_UP < checks <= 2 * WARM_UP)
    return mean(size for _, size in held[-max(1, len(held) // 10) :]) / before - 1


@dataclass(frozen=True)
class Session:
    """What a session held on to.

    Attributes:
        words: what its tests were, for people.
        seconds: it took.
        samples: in order.
    """

    words: str
    seconds: float
    samples: list[Sample]

    @property
    def pytest(self) -> float:
        """Growth of pytest."""
        return growth([(held.checks, held.pytest) for held in self.samples])

    @property
    def engine(self) -> float | None:
        """Growth of the engine; None when there was none."""
        held = [(held.checks, held.engine) for held in self.samples]
        return growth(held) if all(size for _, size in held) else None

    @property
    def settled(self) -> list[Sample]:
        """The samples after the warm-up."""
        return [held for held in self.samples if held.checks > WARM_UP]

    @property
    def bytes_a_check(self) -> float:
        """What pytest holds on to of each check."""
        first, last = self.settled[0], self.settled[-1]
        return (last.pytest - first.pytest) / (last.checks - first.checks)

    @property
    def files(self) -> tuple[int, int]:
        """Fewest and most open files."""
        counts = [held.files for held in self.settled]
        return min(counts), max(counts)

    @property
    def processes(self) -> int:
        """Most processes."""
        return max(held.processes for held in self.samples)

    @property
    def grows(self) -> bool:
        """Whether memory or open files grow by more than they may."""
        fewest, most = self.files
        return max(self.pytest, self.engine or 0.0) > MOST_GROWTH or most - fewest > 2

    def figures(self) -> dict[str, Any]:
        """Return every number, as plain JSON."""
        return asdict(self) | {
            "pytest_growth": self.pytest,
            "engine_growth": self.engine,
            "bytes_a_check": self.bytes_a_check,
        }


def timed(words: str, write: Callable[[Path, int], None], checks: int) -> Session:
    """Run a session to its end."""
    began = time.monotonic()
    samples = soak(write, checks)
    return Session(words, time.monotonic() - began, samples)


def table(sessions: Sequence[Session]) -> Iterator[str]:
    """Yield the figures as Markdown."""
    yield (
        f"| session | checks | s | pytest grew after {WARM_UP} | bytes a check | engine grew "
        "| open files | most processes |"
    )
    yield "|---|---:|---:|---:|---:|---:|---:|---:|"
    for session in sessions:
        engine = "-" if session.engine is None else f"{session.engine:.1%}"
        yield (
            f"| {session.words} | {session.samples[-1].checks:,} | {session.seconds:.0f} "
            f"| {session.pytest:.1%} | {session.bytes_a_check:,.0f} | {engine} "
            f"| {' to '.join(map(str, session.files))} | {session.processes} |"
        )


def main() -> int:
    """Print the samples and the growth; return 1 when memory or open files grow."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--checks", type=int, default=CHECKS)
    parser.add_argument("-o", "--output", type=Path, help="write the figures here as JSON")
    given = parser.parse_args()
    if given.checks < 2 * WARM_UP:
        parser.error(f"--checks must be {2 * WARM_UP} or more: growth is measured after a warm-up")
    ours = timed("checks of a model", write_playbook, given.checks)
    alone = timed("tests that do nothing", write_nothing, given.checks)
    figures = [session.figures() for session in (ours, alone)]
    deliver("What a long session holds on to", figures, table((ours, alone)), given.output)
    return 1 if ours.grows else 0


if __name__ == "__main__":
    sys.exit(main())
