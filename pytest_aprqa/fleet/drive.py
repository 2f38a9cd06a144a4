"""The driver: hands shards to Ray, takes evidence in, and ends with one registry and one report.

What runs where and when is Ray's business. Here is one coroutine a shard, one a playbook.
"""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pytest_aprqa.fleet.campaign import Campaign, Terms
from pytest_aprqa.fleet.cluster import FleetError, nodes
from pytest_aprqa.fleet.progress import Progress
from pytest_aprqa.fleet.registry import REGISTRY, StagedRegistry
from pytest_aprqa.fleet.report import FleetReport, MachineRecord, ModelResult
from pytest_aprqa.fleet.shard import CarryOut
from pytest_aprqa.run.check import run_check
from pytest_aprqa.run.planning import PlannedPlaybook, plan_playbook, run_plan
from pytest_aprqa.run.resume import Kept, kept_in
from pytest_aprqa.run.settings import Settings
from pytest_aprqa.verdict.record import RecordError
from pytest_aprqa.verdict.run_file import read_run

WATCH_SECONDS = 2.0
"""Between two looks at which machines there are."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """Playbooks to be certified on a cluster.

    Attributes:
        playbooks: files; each of another model.
        settings: the user's; every path in it must mean the same on every machine.
        readme: whose table shows the registry.
        patience: seconds a shard may wait while no machine of the cluster could hold it.
        carry_out: runs one check; another one simulates load.
    """

    playbooks: Sequence[Path]
    settings: Settings
    readme: Path
    patience: float = 300.0
    carry_out: CarryOut = run_check

    def run(self, progress: Progress) -> FleetReport:
        """Certify every playbook on the cluster this process is connected to.

        Raises:
            FleetError: two playbooks are of one model.
            PlaybookError: a playbook is not valid.
            RegistryError: the registry cannot be written.
            OSError: the report cannot be written.
        """
        return asyncio.run(_Drive(self, progress).run())


class _Drive:
    """One run of a fleet."""

    def __init__(self, fleet: Fleet, progress: Progress) -> None:
        self._fleet = fleet
        self._progress = progress
        self._run_id = uuid.uuid4().hex
        self._campaigns: list[Campaign] = []
        self._finished_before: list[ModelResult] = []

    async def run(self) -> FleetReport:
        started = _now()
        settings = self._fleet.settings
        with StagedRegistry(settings.certifications / REGISTRY) as registry:
            self._muster(registry)
            interrupted = await self._certify()
            results = (*self._finished_before, *(c.result for c in self._campaigns if c.result))
            registry.publish(self._fleet.readme)
        report = FleetReport(
            run_id=self._run_id,
            started=started,
            finished=_now(),
            command=settings.command,
            interrupted=interrupted,
            machines=tuple(_machines()),
            results=tuple(sorted(results, key=lambda result: result.model_id)),
        )
        report.write(settings.certifications)
        return report

    def _muster(self, registry: StagedRegistry) -> None:
        """Make a campaign of every playbook that has no certificate from this run yet."""
        machines = [node for node in nodes() if node.is_alive]
        most_cpus = max((node.cpus for node in machines), default=1)
        fleet = self._fleet
        terms = Terms(
            settings=fleet.settings,
            run_id=self._run_id,
            carry_out=fleet.carry_out,
            registry_folder=registry.folder,
            progress=self._progress,
            desk=asyncio.Lock(),
        )
        of_place: dict[Path, Path] = {}
        for path in fleet.playbooks:
            planned = plan_playbook(path, fleet.settings)
            _require_apart(path, of_place.setdefault(planned.output, path), planned.output)
            kept = Kept()
            if fleet.settings.resume:
                kept = kept_in(planned.journal, run_plan(planned))
                if result := _concluded_before(planned, kept, registry):
                    self._finished_before.append(result)
                    continue
            self._campaigns.append(Campaign(planned, kept, terms, most_cpus))
        self._progress.starts(
            models=len(self._campaigns),
            checks=sum(campaign.open_checks for campaign in self._campaigns),
            shards=sum(len(campaign.shards) for campaign in self._campaigns),
            machines=len([node for node in machines if node.cpus]),
        )

    async def _certify(self) -> bool:
        """Run every campaign to its end; return whether the user broke in."""
        work = asyncio.gather(*(campaign.certify() for campaign in self._campaigns))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, work.cancel)
        watch = asyncio.create_task(self._watch())
        try:
            await work
        except asyncio.CancelledError:
            for campaign in self._campaigns:
                campaign.cancel()
            for campaign in self._campaigns:
                await campaign.interrupt()
            return True
        finally:
            watch.cancel()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
        return False

    async def _watch(self) -> None:
        while True:
            machines = await asyncio.to_thread(nodes)
            for campaign in self._campaigns:
                campaign.strand(machines, time.monotonic(), self._fleet.patience)
            await asyncio.sleep(WATCH_SECONDS)


def _require_apart(path: Path, other: Path, output: Path) -> None:
    if path != other:
        raise FleetError(
            f"{other} and {path} are of one model and would both write to {output}: "
            "name one of them"
        )


def _concluded_before(
    planned: PlannedPlaybook, kept: Kept, registry: StagedRegistry
) -> ModelResult | None:
    """Return the result of a playbook whose run is whole and certified, its row with it."""
    if len(kept.records) < len(planned.plan.checks):
        return None
    try:
        run = read_run(planned.evidence)
    except RecordError:
        return None
    if run.run_id != kept.run_id or run.interrupted:
        return None
    registry.add(run)
    return ModelResult.of_plan(planned).concluded(run)


def _machines() -> list[MachineRecord]:
    return [
        MachineRecord(
            host=node.host,
            is_alive=node.is_alive,
            cpus=node.resources.get("CPU", 0),
            gpus=node.resources.get("GPU", 0),
            memory=node.resources.get("memory", 0),
        )
        for node in nodes()
    ]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
