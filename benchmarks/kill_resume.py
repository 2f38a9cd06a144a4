"""Kill a whole certification at random moments, resume it, and compare with one left in peace.

    python benchmarks/kill_resume.py                      # 20 kills, the table, exit status 1 on any loss
    python benchmarks/kill_resume.py --kills 5 --seed 3 -n 2 -o benchmarks/results/kill-resume.json

`kill -9` strikes pytest, its workers and everything they started, at moments drawn evenly over the
length of the undisturbed run; each time `--resume` goes on. When no part of the run is left to be
cut off, the next kills strike a fresh one.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from figures import deliver

KILLS = 20
SEED = 20261124
FOLDER = "aprqa-reference"
PLAYBOOK = """\
name: killed
model: {hf_repo: aprqa/aprqa-reference, builtin: aprqa-reference, formats: [gguf]}
test_matrix: {modalities: [run, chat, serve], backends: [cpu], scenario_count: 4}
failure_policy: collect-all
metadata: {tier: mvp}
"""


@dataclass(frozen=True)
class Verdict:
    """What must not depend on whether a run was cut off."""

    outcomes: dict[str, str]
    score: int
    status: str


@dataclass(frozen=True)
class Cut:
    """One kill.

    Attributes:
        moment: seconds after the start of its part of the run; None when the run ended before.
        before, after: whole records in the journal when that part began, and when it was killed.
    """

    moment: float | None
    before: int
    after: int


class Rig:
    """A folder with the playbook, and the runs made in it."""

    def __init__(self, folder: Path, workers: int) -> None:
        self._folder = folder
        self._workers = workers
        (folder / "killed.playbook.yaml").write_text(PLAYBOOK)
        (folder / "pytest.ini").write_text("[pytest]\n")

    def start(self, output: str, *, resume: bool = False) -> subprocess.Popen[bytes]:
        """Start a run, or go on with it."""
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        command += [f"--certifications={output}", "--aprqa-threads=1", f"-n{self._workers}"]
        command += ["--aprqa-no-result-cache", *(["--resume"] if resume else [])]
        return subprocess.Popen(
            command,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            env={**os.environ, "APRQA_CACHE": str(self._folder / "cache")},
        )

    def checks(self, output: str) -> list[str]:
        """Return the checks of the whole records in the journal, in order."""
        journal = self._folder / output / FOLDER / "evidence.jsonl"
        if not journal.is_file():
            return []
        lines = journal.read_bytes().split(b"\n")[:-1]
        return [json.loads(line)["record"]["check"] for line in lines[1:]]

    def verdict(self, output: str) -> Verdict:
        """Return what a finished run came to."""
        evidence = json.loads((self._folder / output / FOLDER / "evidence.json").read_text())
        return Verdict(
            {record["check"]: record["outcome"] for record in evidence["records"]},
            evidence["mqs"]["raw"],
            evidence["certificate"]["status"],
        )

    def left_behind(self) -> list[int]:
        """Return the processes that still work in this folder."""
        return [process.pid for process in psutil.process_iter() if self._works_here(process)]

    def _works_here(self, process: psutil.Process) -> bool:
        try:
            return process.cwd() == str(self._folder)
        except psutil.Error:
            return False


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a run and all it started, as the end of a machine does."""
    try:
        family = [*psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    for member in (psutil.Process(process.pid), *family):
        try:
            member.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    process.wait()


def cuts(rig: Rig, kills: int, length: float, draw: random.Random) -> Iterator[tuple[str, Cut]]:
    """Yield each kill with the folder of the run that it struck."""
    number, output, resume = 0, "run-0", False
    while kills:
        before = len(rig.checks(output))
        process = rig.start(output, resume=resume)
        moment = draw.uniform(0.0, length)
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            kill(process)
            kills -= 1
            resume = True
            yield output, Cut(moment, before, len(rig.checks(output)))
            continue
        yield output, Cut(None, before, len(rig.checks(output)))
        number, resume = number + 1, False
        output = f"run-{number}"
    before = len(rig.checks(output))
    rig.start(output, resume=True).wait()
    yield output, Cut(None, before, len(rig.checks(output)))


def losses(rig: Rig, output: str, whole: Verdict) -> list[str]:
    """Return in what a run that was cut off differs from one that was not."""
    ended, found = rig.verdict(output), []
    counts = Counter(rig.checks(output))
    if ended.outcomes != whole.outcomes:
        names = {n for n in whole.outcomes if whole.outcomes[n] != ended.outcomes.get(n)}
        found.append(f"other outcomes: {sorted(names)}")
    if (ended.score, ended.status) != (whole.score, whole.status):
        found.append(f"MQS {ended.score} {ended.status}, not {whole.score} {whole.status}")
    if missing := whole.outcomes.keys() - counts.keys():
        found.append(f"missing: {sorted(missing)}")
    if twice := sorted(name for name, count in counts.items() if count > 1):
        found.append(f"twice: {twice}")
    if rig.left_behind():
        found.append("processes are left")
    return found


@dataclass(frozen=True)
class Found:
    """What came of all kills.

    Attributes:
        seconds: the undisturbed run took.
        whole: what it came to.
        cuts: each kill, and each end of a run, with the folder of the run.
        lost: in what runs that were cut off differ from it.
    """

    seconds: float
    whole: Verdict
    cuts: tuple[tuple[str, Cut], ...]
    lost: tuple[str, ...]

    @property
    def kills(self) -> int:
        return sum(cut.moment is not None for _, cut in self.cuts)

    @property
    def runs(self) -> int:
        """Runs that ended whole."""
        return len(self.cuts) - self.kills


def measure(kills: int, seed: int, workers: int, folder: Path) -> Found:
    """Kill and resume runs, and hold each that ended against one left in peace."""
    rig = Rig(folder, workers)
    rig.start("warm-up").wait()
    began = time.monotonic()
    rig.start("whole").wait()
    seconds = time.monotonic() - began
    whole = rig.verdict("whole")
    made: list[tuple[str, Cut]] = []
    lost: list[str] = []
    for output, cut in cuts(rig, kills, seconds, random.Random(seed)):
        made.append((output, cut))
        print(_row(output, cut, len(whole.outcomes)), flush=True)
        if cut.moment is None:
            lost += [f"{output}: {loss}" for loss in losses(rig, output, whole)]
    return Found(seconds, whole, tuple(made), tuple(lost))


def _row(output: str, cut: Cut, planned: int) -> str:
    when = f"killed at {cut.moment:6.2f} s" if cut.moment is not None else "ended by itself  "
    return f"{output:8} {when}  records {cut.before:3} -> {cut.after:3} of {planned}"


def table(found: Found, seed: int, workers: int) -> Iterator[str]:
    """Yield the figures as Markdown."""
    yield "| kills | seed | workers | checks | undisturbed, s | MQS | runs resumed to their end | lost |"
    yield "|---:|---:|---:|---:|---:|---:|---:|---|"
    yield (
        f"| {found.kills} | {seed} | {workers} | {len(found.whole.outcomes)} | {found.seconds:.1f} "
        f"| {found.whole.score} | {found.runs} | {'; '.join(found.lost) or 'nothing'} |"
    )


def main() -> int:
    """Print the figures; return 1 when anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("-n", "--workers", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, help="write the figures here as JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        found = measure(given.kills, given.seed, given.workers, folder)
    figures = {
        "seed": given.seed,
        "workers": given.workers,
        "seconds": found.seconds,
        "whole": asdict(found.whole),
        "cuts": [{"run": output, **asdict(cut)} for output, cut in found.cuts],
        "lost": found.lost,
    }
    title = "Runs killed at random moments and resumed, against one left in peace"
    deliver(title, figures, table(found, given.seed, given.workers), given.output)
    return 1 if found.lost else 0


if __name__ == "__main__":
    sys.exit(main())
