"""Certify many simulated models on a local Ray cluster, and lose one of its machines on the way.

    python benchmarks/fleet.py --models 100 --seconds 0.05 --machines 4 --cpus 4

A simulated check sleeps; everything else is what a fleet does: planning, tasks, streams, journals
on disk, scores, certificates, reports, the registry. It prints what came of it:

* lost, twice: checks without evidence, and checks carried out more than once;
* wall time over the ideal: all sleeping, shared evenly by the machines while they lived;
* the driver's resident memory after each tenth of the models.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from figures import deliver

from pytest_aprqa.fleet.campaign import CarryOut
from pytest_aprqa.fleet.drive import Fleet
from pytest_aprqa.fleet.progress import Progress
from pytest_aprqa.fleet.report import FleetReport
from pytest_aprqa.playbook.check import Check
from pytest_aprqa.run.check import run_check
from pytest_aprqa.run.laboratory import Laboratory
from pytest_aprqa.run.settings import Settings
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.journal import read_journal

GIB = 1 << 30
ANSWER = "The answer is what a model of modest size says when it is asked and has some time. " * 4

PLAYBOOK = """\
name: {name}
version: "1.0.0"
model:
  hf_repo: fleet/{name}
  builtin: aprqa-reference
test_matrix:
  modalities: [run, chat, serve]
  backends: [cpu]
  scenario_count: {questions}
  prompts:
{prompts}
failure_policy: collect-all
metadata: {{tier: deep}}
"""


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--questions", type=int, default=192, help="in each of nine cells")
    parser.add_argument("--seconds", type=float, default=0.05, help="that a check takes")
    parser.add_argument("--machines", type=int, default=4)
    parser.add_argument("--cpus", type=int, default=4, help="of each machine")
    parser.add_argument("--kill-at", type=float, default=0.4, help="share of the models done")
    parser.add_argument("-o", "--output", type=Path, help="write the figures here as JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aprqa-benchmark-") as folder:
        Benchmark(Path(folder), given).run()


class Benchmark:
    """One run: a cluster, its loss, and the count of what became of the checks."""

    def __init__(self, folder: Path, given: argparse.Namespace) -> None:
        self.folder = folder
        self.given = given
        self.trace = folder / "trace"
        self.killed_after = 0.0
        self.begun = 0.0
        self.memory: list[tuple[int, float]] = []
        self._concluded = 0
        self._kill: Callable[[], object] = lambda: None

    def run(self) -> None:
        """Run the fleet, then print the figures."""
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        import ray
        from ray.cluster_utils import Cluster

        store = 200 << 20
        cluster: Any = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 0,
                "include_dashboard": False,
                "object_store_memory": store,
            },
        )
        machines = [
            cluster.add_node(num_cpus=self.given.cpus, memory=256 * GIB, object_store_memory=store)
            for _ in range(self.given.machines)
        ]
        self._kill = lambda: cluster.remove_node(machines[-1], allow_graceful=False)
        ray.init(address=cluster.address, log_to_driver=False)
        try:
            settings = Settings(
                certifications=self.folder / "certifications", offline=True, threads=1
            )
            fleet = Fleet(
                self._playbooks(),
                settings,
                readme=self.folder / "README.md",
                carry_out=sleeping(str(self.trace), self.given.seconds),
            )
            self.begun = time.monotonic()
            report = fleet.run(Progress(self._say))
            wall = time.monotonic() - self.begun
        finally:
            ray.shutdown()
            cluster.shutdown()
        self._print(report, wall)

    def _playbooks(self) -> list[Path]:
        prompts = "\n".join(
            f'    - "Question {number}: what is {number} + {number}?"'
            for number in range(self.given.questions)
        )
        paths = []
        for number in range(self.given.models):
            name = f"model-{number:03}"
            path = self.folder / f"{name}.playbook.yaml"
            path.write_text(
                PLAYBOOK.format(name=name, questions=self.given.questions, prompts=prompts)
            )
            paths.append(path)
        return paths

    def _say(self, line: str) -> None:
        print(f"{time.monotonic() - self.begun:7.1f} s  {line}", flush=True)
        if not line.startswith("["):
            return
        self._concluded += 1
        self.memory.append((self._concluded, psutil.Process().memory_info().rss / 1e6))
        if self._concluded == max(1, int(self.given.kill_at * self.given.models)):
            self.killed_after = time.monotonic() - self.begun
            threading.Thread(target=self._kill).start()

    def _print(self, report: FleetReport, wall: float) -> None:
        planned = sum(result.checks for result in report.results)
        journals = [
            [record.check for record in read_journal(Path(result.evidence + "l")).records]
            for result in report.results
        ]
        written = Counter(len(names) - len(set(names)) for names in journals)
        lost = planned - sum(len(set(names)) for names in journals)
        carried_out = Counter(self.trace.read_text().splitlines())
        slots = self.given.machines * self.given.cpus
        work = len(carried_out) * self.given.seconds
        left = work - slots * self.killed_after
        ideal = self.killed_after + left / (slots - self.given.cpus)
        step = max(1, len(self.memory) // 10)
        figures = {
            "checks planned": planned,
            "without evidence": lost,
            "journals with a repeat": sum(written.values()) - written[0],
            "carried out twice": sum(count > 1 for count in carried_out.values()),
            "carried out more often": sum(count > 2 for count in carried_out.values()),
            "tasks lost and run on": sum(result.losses for result in report.results),
            "machine killed after, s": round(self.killed_after, 1),
            "wall time, s": round(wall, 1),
            "ideal, s": round(ideal, 1),
            "ratio": round(wall / ideal, 3),
            "driver's memory in MB, by models done": ", ".join(
                f"{models}: {megabytes:.0f}" for models, megabytes in self.memory[step - 1 :: step]
            ),
        }
        rows = [f"| {name} | {value} |" for name, value in figures.items()]
        deliver(
            "A fleet that loses a machine",
            figures,
            ["| | |", "|---|---|", *rows],
            self.given.output,
        )


def sleeping(trace: str, seconds: float) -> CarryOut:
    """Return what carries out a check by sleeping; those that look back over the run are real."""

    def carry_out(check: Check, laboratory: Laboratory) -> Evidence:
        if check.cell.format is None:
            return run_check(check, laboratory)
        descriptor = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, f"{laboratory.plan.model.hf_repo} {check.name}\n".encode())
        os.close(descriptor)
        time.sleep(seconds)
        return Evidence(
            check=check.name,
            gate_id=check.gate_id,
            kind=check.kind,
            category=check.category,
            subject=check.subject,
            format=check.cell.format,
            backend=check.cell.backend,
            modality=check.cell.modality,
            outcome="corroborated",
            reason="simulated",
            compared={"prompts": 1},
            prompt=check.scenario.prompt if check.scenario else None,
            answer=ANSWER,
            seconds=seconds,
        )

    return carry_out


if __name__ == "__main__":
    main()
