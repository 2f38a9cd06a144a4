"""A local Ray cluster, and fleets of the model that ships with the package."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pytest_aprqa.fleet.campaign import CarryOut
from pytest_aprqa.fleet.drive import Fleet
from pytest_aprqa.fleet.progress import Progress
from pytest_aprqa.fleet.report import FleetReport
from pytest_aprqa.playbook.check import Check
from pytest_aprqa.run.check import run_check
from pytest_aprqa.run.laboratory import Laboratory
from pytest_aprqa.run.planning import PlannedPlaybook, plan_playbook
from pytest_aprqa.run.settings import Settings
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.journal import read_journal
from pytest_aprqa.verdict.record import Run
from pytest_aprqa.verdict.run_file import read_run

OBJECT_STORE = 100 << 20
SOON_MISSED = {
    "health_check_initial_delay_ms": 500,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 2000,
    "health_check_failure_threshold": 3,
}
"""Ray's defaults take half a minute to call a silent machine dead."""

PLAYBOOK = """\
name: tiny
version: "1.0.0"
model:
  hf_repo: aprqa/{name}
  builtin: aprqa-reference
  formats: [gguf]
test_matrix:
  modalities: [run]
  backends: [cpu]
  prompts: ["What is 2+2?", "What is 3+4?", "What is 9-5?"]
  max_tokens: 8
failure_policy: {policy}
metadata: {{tier: mvp}}
"""

Before = Callable[[Check], None]


@dataclass
class Ships:
    """Fleets over small playbooks in one directory, and what they left behind."""

    path: Path
    said: list[str] = field(default_factory=list)

    def playbook(self, name: str, policy: str = "collect-all") -> Path:
        """Write a playbook of a model called `name`."""
        path = self.path / f"{name}.playbook.yaml"
        path.write_text(PLAYBOOK.format(name=name, policy=policy), encoding="utf-8")
        return path

    @property
    def certifications(self) -> Path:
        return self.path / "certifications"

    @property
    def trace(self) -> Path:
        """A file with the names of the checks that were begun, on any machine."""
        return self.path / "trace"

    def settings(self, **changes: Any) -> Settings:
        given = {"certifications": self.certifications, "offline": True, "threads": 1, **changes}
        return Settings(**given)

    def plan(self, playbook: Path) -> PlannedPlaybook:
        return plan_playbook(playbook, self.settings())

    def traced(self, before: Before | None = None) -> CarryOut:
        """Return `run_check`, noting each check it begins; `before` may do harm to its process."""
        trace = str(self.trace)

        def carry_out(check: Check, laboratory: Laboratory) -> Evidence:
            descriptor = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.write(descriptor, f"{laboratory.plan.model.hf_repo} {check.name}\n".encode())
            os.close(descriptor)
            if before:
                before(check)
            return run_check(check, laboratory)

        return carry_out

    def sail(
        self,
        *playbooks: Path,
        before: Before | None = None,
        patience: float = 60.0,
        **settings: Any,
    ) -> FleetReport:
        """Run a fleet on the cluster."""
        fleet = Fleet(
            playbooks,
            self.settings(**settings),
            readme=self.path / "README.md",
            patience=patience,
            carry_out=self.traced(before),
        )
        return fleet.run(Progress(self.said.append))

    def begun(self) -> Counter[str]:
        """Return how often each check was begun."""
        return Counter(self.trace.read_text(encoding="utf-8").splitlines())

    def run(self, name: str) -> Run:
        return read_run(self.certifications / name / "evidence.json")

    def journal(self, name: str) -> list[str]:
        """Return the names of the checks in a journal, in the order they were written."""
        content = read_journal(self.certifications / name / "evidence.jsonl")
        assert content.broken_at is None
        return [record.check for record in content.records]


@pytest.fixture
def ships(tmp_path: Path) -> Ships:
    return Ships(tmp_path)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """A cluster with one machine of two CPUs; tests may add machines, and take them away."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 2,
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE,
            "_system_config": SOON_MISSED,
        },
    )
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def machine(cluster: Any) -> Iterator[Callable[[int], Any]]:
    """Add a machine with this many CPUs, for one test."""
    added: list[Any] = []

    def add(cpus: int) -> Any:
        added.append(cluster.add_node(num_cpus=cpus, object_store_memory=OBJECT_STORE))
        return added[-1]

    yield add
    for node in added:
        if node in cluster.worker_nodes:
            cluster.remove_node(node)
