"""`kill -9` of the whole command at some moments, then `--resume`, as after the end of a machine."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

KILLS = 3
SEED = 20261124
LATEST = 2 / 3
"""Of the run: later than that it may have ended before it is struck."""
GRACE = 5.0
"""Seconds an engine may take to end after the run that started it."""


@dataclass(frozen=True)
class Killed:
    """A run that was killed and resumed until it was whole.

    Attributes:
        folder: where it was started.
        before: what the journal held when each part of it began, whole records only.
        last: how its last part ended.
    """

    folder: Path
    before: tuple[tuple[str, ...], ...]
    last: int

    @property
    def evidence(self) -> Path:
        return self.folder / "out/aprqa-reference/evidence.json"

    @property
    def journal(self) -> Path:
        return self.evidence.with_suffix(".jsonl")


def recorded(journal: Path) -> tuple[str, ...]:
    """Return the checks whose records are whole, in order."""
    content = journal.read_bytes() if journal.exists() else b""
    return tuple(json.loads(line)["record"]["check"] for line in content.split(b"\n")[1:-1])


def start(playbook: Path, folder: Path, *, resume: bool) -> subprocess.Popen[bytes]:
    options = ["--no-gpu", "--threads", "1", "--no-result-cache", "--output", "out"]
    return subprocess.Popen(
        [sys.executable, "-m", "pytest_aprqa.cli", "run", playbook, *options]
        + ["--resume"] * resume,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill_at(process: subprocess.Popen[bytes], journal: Path, records: int) -> None:
    """Kill a run, with all it has started in its session, once it has written so many records."""
    give_up = time.monotonic() + 120
    while len(recorded(journal)) < records:
        assert process.poll() is None
        assert time.monotonic() < give_up
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def working_in(folder: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                yield process
        except psutil.Error:
            continue


@pytest.fixture(scope="module")
def killed(certified, tmp_path_factory: pytest.TempPathFactory) -> Killed:
    folder = tmp_path_factory.mktemp("killed").resolve()
    journal = folder / "out/aprqa-reference/evidence.jsonl"
    planned = len(json.loads(certified.evidence.read_text())["records"])
    moments = random.Random(SEED).sample(range(1, int(planned * LATEST)), KILLS)
    before = []
    for records in sorted(moments):
        before.append(recorded(journal))
        process = start(certified.playbook, folder, resume=journal.exists())
        kill_at(process, journal, records)
        assert process.returncode == -signal.SIGKILL
    before.append(recorded(journal))
    last = start(certified.playbook, folder, resume=True)
    return Killed(folder, tuple(before), last.wait(timeout=120))


def test_it_ends_with_the_outcomes_and_the_score_of_a_run_left_in_peace(certified, killed):
    peaceful, ended = (json.loads(e.read_text()) for e in (certified.evidence, killed.evidence))
    outcomes = [{r["check"]: r["outcome"] for r in run["records"]} for run in (peaceful, ended)]
    assert outcomes[0] == outcomes[1]
    assert ended["mqs"]["raw"] == peaceful["mqs"]["raw"]
    assert ended["certificate"]["status"] == peaceful["certificate"]["status"]
    assert killed.last == certified.result.code


def test_no_check_is_missing_or_carried_out_twice(certified, killed):
    planned = json.loads(certified.evidence.read_text())["plan"]["checks"]
    assert Counter(recorded(killed.journal)) == Counter(check["check"] for check in planned)


def test_every_part_goes_on_behind_the_last_whole_record(killed):
    final = recorded(killed.journal)
    assert [final[: len(part)] for part in killed.before] == list(killed.before)
    assert len({len(part) for part in killed.before}) == KILLS + 1


def test_no_process_is_left(killed):
    give_up = time.monotonic() + GRACE
    while (left := [*working_in(killed.folder)]) and time.monotonic() < give_up:
        time.sleep(0.05)
    assert left == []
