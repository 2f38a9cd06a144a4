"""Hold what this plugin adds to pytest against `pytest.mark.parametrize` with empty bodies.

    python benchmarks/overhead.py -o overhead.json

One run, side by side, in processes of their own, the least of several repeats:

* collecting as many checks as a parametrized function has cases: wall time and peak memory;
* running them when a check does nothing, its evidence fsynced record by record all the same;
* planning ever more checks: wall time and peak memory.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from figures import deliver
from session import environment

CELLS = 9

PLAYBOOK = """\
name: growth
version: "1.0.0"
model: {{hf_repo: aprqa/aprqa-reference, builtin: aprqa-reference}}
test_matrix:
  modalities: [run, chat, serve]
  backends: [{backends}]
  scenario_count: {questions}
  prompts:
{prompts}
failure_policy: collect-all
metadata: {{tier: deep}}
"""

PARAMETRIZED = """\
import pytest


@pytest.mark.parametrize("number", range({cases}))
def test_nothing(number):
    pass
"""

EMPTY_CHECKS = '''\
"""A check that does nothing, so that only what surrounds it is measured."""

from pytest_aprqa.judge.judgement import corroborated
from pytest_aprqa.run import check
from pytest_aprqa.run.observed import Observed


def nothing(check, laboratory):
    return Observed(corroborated("nothing was done", {"prompts": 1}), prompt="Is it so?", answer="It is.")


check.PROCEDURES.update(dict.fromkeys(check.PROCEDURES, nothing))
'''

PLAN = """\
import sys
from pathlib import Path
from pytest_aprqa.run.planning import plan_playbook
from pytest_aprqa.run.settings import Settings
planned = plan_playbook(Path(sys.argv[1]), Settings(certifications=Path("certifications")))
print(len(planned.plan.checks))
"""


@dataclass(frozen=True)
class Cost:
    """Wall time and peak memory of a command."""

    seconds: float
    megabytes: float


@dataclass(frozen=True)
class Done:
    """A command that has ended, and the end of what it printed."""

    cost: Cost
    output: str


@dataclass(frozen=True)
class Comparison:
    """This plugin beside parametrize, at one size."""

    checks: int
    cases: int
    collect: Cost
    collect_parametrized: Cost
    run: Cost
    run_parametrized: Cost

    @property
    def time_ratio(self) -> float:
        return self.collect.seconds / self.collect_parametrized.seconds

    @property
    def memory_ratio(self) -> float:
        return self.collect.megabytes / self.collect_parametrized.megabytes

    @property
    def overhead(self) -> float:
        """Milliseconds a check that does nothing takes to run, pytest's own share included."""
        return 1000 * (self.run.seconds - self.collect.seconds) / self.checks

    @property
    def overhead_parametrized(self) -> float:
        return (
            1000 * (self.run_parametrized.seconds - self.collect_parametrized.seconds) / self.cases
        )


@dataclass(frozen=True)
class Growth:
    """What planning costs at one size."""

    checks: int
    plan: Cost


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_800, 20_000])
    parser.add_argument("--plans", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path, help="write the figures here as JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aprqa-benchmark-") as folder:
        bench = Bench(Path(folder), given.repeats)
        comparisons = [bench.compare(size) for size in given.sizes]
        growth = [bench.grow(size) for size in given.plans]
    figures = {
        "comparisons": [
            asdict(c)
            | {
                "time_ratio": c.time_ratio,
                "memory_ratio": c.memory_ratio,
                "overhead_ms": c.overhead,
                "overhead_parametrized_ms": c.overhead_parametrized,
            }
            for c in comparisons
        ],
        "growth": [asdict(step) for step in growth],
    }
    title = "What the plugin adds to pytest"
    deliver(title, figures, table(comparisons, growth), given.output)


def table(comparisons: Iterable[Comparison], growth: Iterable[Growth]) -> Iterable[str]:
    """Yield the figures as Markdown."""
    yield "| checks | collect, s | parametrize, s | ratio | memory, MB | parametrize, MB | ratio | ms a check | parametrize, ms |"
    yield "|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    for c in comparisons:
        yield (
            f"| {c.checks:,} | {c.collect.seconds:.2f} | {c.collect_parametrized.seconds:.2f} "
            f"| {c.time_ratio:.2f} | {c.collect.megabytes:.0f} "
            f"| {c.collect_parametrized.megabytes:.0f} | {c.memory_ratio:.2f} "
            f"| {c.overhead:.2f} | {c.overhead_parametrized:.2f} |"
        )
    yield ""
    yield "| checks planned | s | MB |"
    yield "|---:|---:|---:|"
    for step in growth:
        yield f"| {step.checks:,} | {step.plan.seconds:.2f} | {step.plan.megabytes:.0f} |"


class Bench:
    """Runs commands in a folder of their own and takes their time and peak memory."""

    def __init__(self, folder: Path, repeats: int) -> None:
        self._folder = folder
        self._repeats = repeats
        (folder / "empty_checks.py").write_text(EMPTY_CHECKS, encoding="utf-8")
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")

    def compare(self, checks: int) -> Comparison:
        """Collect and run as many checks as cases, and nothing else."""
        playbook = self._playbook(checks, "cpu")
        planned = int(self._measure([sys.executable, "-c", PLAN, playbook.name], 1).output)
        cases = self._folder / f"test_{planned}.py"
        cases.write_text(PARAMETRIZED.format(cases=planned), encoding="utf-8")
        collect = ["--collect-only", "-q"]
        run = ["-q", "-p", "empty_checks", "--no-gpu", "--aprqa-no-result-cache"]
        run.append("--aprqa-no-early-stop")
        return Comparison(
            checks=planned,
            cases=planned,
            collect=self._pytest(collect, playbook),
            collect_parametrized=self._pytest(collect, cases),
            run=self._pytest(run, playbook),
            run_parametrized=self._pytest(run, cases),
        )

    def grow(self, checks: int) -> Growth:
        """Plan a playbook of about this many checks."""
        playbook = self._playbook(checks // 2, "cpu, gpu")
        done = self._measure([sys.executable, "-c", PLAN, playbook.name])
        return Growth(int(done.output), done.cost)

    def _playbook(self, checks: int, backends: str) -> Path:
        questions = checks // CELLS
        path = self._folder / f"growth-{checks}-{len(backends)}.playbook.yaml"
        prompts = "\n".join(f'    - "What is {n} + {n}?"' for n in range(questions))
        text = PLAYBOOK.format(questions=questions, prompts=prompts, backends=backends)
        path.write_text(text, encoding="utf-8")
        return path

    def _pytest(self, options: list[str], path: Path) -> Cost:
        cache = ["-p", "no:cacheprovider"]
        return self._measure([sys.executable, "-m", "pytest", *cache, *options, path.name]).cost

    def _measure(self, command: list[str], repeats: int | None = None) -> Done:
        """Return the quickest of several repeats."""
        times = [self._once(command) for _ in range(repeats or self._repeats)]
        return min(times, key=lambda done: done.cost.seconds)

    def _once(self, command: list[str]) -> Done:
        begun = time.perf_counter()
        with subprocess.Popen(
            command,
            cwd=self._folder,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(PYTHONPATH=self._folder),
        ) as process:
            assert process.stdout is not None
            output = process.stdout.read()
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - begun
        if process.returncode not in (0, 1):
            raise SystemExit(f"{command} ended with {process.returncode}: {output[-2000:]}")
        return Done(Cost(seconds, _megabytes(used)), output.strip()[-200:])


def _megabytes(used: resource.struct_rusage) -> float:
    """Return the peak of resident memory; Linux tells kibibytes, macOS bytes."""
    return used.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


if __name__ == "__main__":
    main()
