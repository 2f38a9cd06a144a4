"""One playbook of a fleet, from its first shard to its certificate."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_aprqa.fleet.cluster import Node
from pytest_aprqa.fleet.ledger import Ledger
from pytest_aprqa.fleet.needs import needs_of, weights_of
from pytest_aprqa.fleet.progress import Progress
from pytest_aprqa.fleet.report import ModelResult
from pytest_aprqa.fleet.shard import CarryOut, Parcel, checks_of, groups_of
from pytest_aprqa.fleet.task import ShardTask
from pytest_aprqa.playbook.check import CheckKind
from pytest_aprqa.registry.models_csv import RegistryError
from pytest_aprqa.run.planning import PlannedPlaybook
from pytest_aprqa.run.resume import Kept
from pytest_aprqa.run.settings import Settings
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.record import RecordError
from pytest_aprqa.words import Outcome

LOSSES = 3
"""Workers that may die in one check before it is set aside."""

HOPELESS = 2 * LOSSES
"""Workers that may die one after the other, without a record, before the shard is given up."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What every playbook of a fleet is run under.

    Attributes:
        settings: the user's.
        run_id: of the fleet.
        carry_out: runs one check.
        registry_folder: directory of the models.csv that takes the rows.
        progress: hears of every record.
        desk: held by whoever concludes, because that takes all records of a model.
    """

    settings: Settings
    run_id: str
    carry_out: CarryOut
    registry_folder: Path
    progress: Progress
    desk: asyncio.Lock


class Campaign:
    """The shards of one playbook, and what is kept of them until it has its certificate.

    A plan is large and a fleet has many: it lies in Ray's store until the first record comes.

    Attributes:
        shards: those with checks to run.
        open_checks: how many checks had no evidence when the fleet started.
        losses: tasks that died with their worker or machine.
        result: how it ended, or None.
    """

    def __init__(self, planned: PlannedPlaybook, kept: Kept, terms: Terms, most_cpus: int) -> None:
        import ray

        self.playbook = planned.loaded.path
        self.losses = 0
        self.result: ModelResult | None = None
        self.open_checks = len(planned.plan.checks) - len(kept.records)
        self.shards = _shards(planned, kept, terms.settings, most_cpus)
        self._terms = terms
        self._failure = ""
        self._blank = ModelResult.of_plan(planned)
        self._gateways = {
            record.check: record for record in kept.records.values() if _is_settled_gateway(record)
        }
        self._plan: Any = ray.put(planned)
        self._opening: asyncio.Task[Ledger] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._begun: float | None = None
        self._is_over = False

    async def certify(self) -> ModelResult:
        """Run every shard, then certify; a fault of this playbook's files is in the result."""
        try:
            await asyncio.gather(*(self._run(shard) for shard in self.shards))
            if not self._failure:
                async with self._terms.desk:
                    await self._end(interrupted=False)
        except (RecordError, RegistryError, OSError) as error:
            self._fail(error)
        if self.result is None:
            self.result = self._blank.failed(self._failure)
        self._release()
        self._terms.progress.concluded(self.result)
        return self.result

    def cancel(self) -> None:
        """Take every shard back; what they have sent is kept."""
        self._is_over = True
        for shard in self.shards:
            shard.cancel()

    async def interrupt(self) -> None:
        """Conclude as far as the run came. Nothing is done when no record came or all is done."""
        if self.result is None and self._opening is not None and not self._failure:
            try:
                await self._end(interrupted=True)
            except (RecordError, RegistryError, OSError) as error:
                self._fail(error)
        self.result = self.result or self._blank.failed(self._failure or "not run: interrupted")

    def strand(self, machines: Iterable[Node], now: float, patience: float) -> None:
        """Take back what for too long no machine could have held."""
        for shard in self.shards:
            shard.strand(machines, now, patience)

    async def _run(self, shard: ShardTask) -> None:
        """Run a shard until every check has a record, whatever dies on the way."""
        from ray.exceptions import RayError, RayTaskError, TaskCancelledError

        lost = 0
        while not self._is_over:
            received = 0
            try:
                async for reference in self._submit(shard):
                    await self._receive(shard, await reference)
                    received += 1
                return
            except TaskCancelledError:
                await self._taken_back(shard)
                return
            except RayTaskError as error:
                cause = str(error.cause).strip().splitlines()[-1:] or [type(error.cause).__name__]
                await self._set_aside(shard, None, f"the shard could not be run: {cause[0]}")
                return
            except RayError as error:
                lost = 1 if received else lost + 1
                self.losses += 1
                self._terms.progress.lost(self._blank.model_id, shard.group, error)
                if lost >= HOPELESS:
                    await self._set_aside(shard, None, f"{lost} workers died one after the other")
                    return
                if lost == LOSSES:
                    await self._set_aside(shard, 1, f"{lost} workers died in this check")
            except (RecordError, OSError) as error:
                self._fail(error)

    def _submit(self, shard: ShardTask) -> Any:
        terms = self._terms
        return shard.submit(self._plan, self._gateways.values(), terms.settings, terms.carry_out)

    async def _receive(self, shard: ShardTask, parcel: Parcel) -> None:
        ledger = await self._ledger()
        evidence = parcel.evidence()
        shard.is_waiting = False
        shard.done.add(evidence.check)
        if ledger.record(evidence, parcel.bundle):
            self._terms.progress.recorded(evidence)
        if _is_settled_gateway(evidence):
            self._gateways[evidence.check] = evidence
        if ledger.stopped:
            self.cancel()

    async def _taken_back(self, shard: ShardTask) -> None:
        """Account for a shard that was cancelled: by its policy, a fault, or for want of a machine."""
        if shard.stranded:
            await self._set_aside(shard, None, shard.stranded, Outcome.SKIPPED)

    async def _set_aside(
        self,
        shard: ShardTask,
        count: int | None,
        reason: str,
        outcome: Outcome = Outcome.INCONCLUSIVE,
    ) -> None:
        """Record the next `count` checks of a shard, or all that are left, as not carried out."""
        ledger = await self._ledger()
        checks = checks_of(ledger.planned.plan, shard.group)
        left = [check.name for check in checks if check.name not in shard.done][:count]
        ledger.set_aside(left, outcome, reason)
        shard.done.update(left)
        self._terms.progress.set_aside(len(left))

    async def _ledger(self) -> Ledger:
        """Return the playbook's ledger, opened when first asked for. Raises JournalError."""
        if self._opening is None:
            self._begun = time.monotonic()
            self._opening = asyncio.create_task(self._open())
        return await asyncio.shield(self._opening)

    async def _open(self) -> Ledger:
        planned = await self._plan
        terms = self._terms
        # In a thread: a resumed run first makes sure that the artifacts are the same.
        return await asyncio.to_thread(
            Ledger, planned, terms.settings, terms.registry_folder, terms.run_id
        )

    async def _end(self, *, interrupted: bool) -> None:
        """Conclude once, whoever asks first; an interruption does not tear a conclusion."""
        self._ending = self._ending or asyncio.create_task(self._conclude(interrupted=interrupted))
        await asyncio.shield(self._ending)

    async def _conclude(self, *, interrupted: bool) -> None:
        ledger = await self._ledger()
        run = await asyncio.to_thread(
            ledger.conclude, self._terms.carry_out, interrupted=interrupted
        )
        seconds = time.monotonic() - (self._begun or 0.0)
        self.result = self._blank.concluded(run, losses=self.losses, seconds=seconds)

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or str(error)
        self.cancel()

    def _release(self) -> None:
        """Let go of everything but the result."""
        self._opening = self._ending = self._plan = None
        self._gateways.clear()
        self.shards.clear()


def _shards(
    planned: PlannedPlaybook, kept: Kept, settings: Settings, most_cpus: int
) -> list[ShardTask]:
    weights = weights_of(planned, settings)
    shards = []
    for group in groups_of(planned.plan):
        names = {check.name for check in checks_of(planned.plan, group)}
        done = names & kept.records.keys()
        if done != names:
            needs = needs_of(planned, group, settings, weights=weights, most_cpus=most_cpus)
            shards.append(ShardTask(group, needs, done))
    return shards


def _is_settled_gateway(evidence: Evidence) -> bool:
    """Whether a record says of a gateway what every machine would find."""
    return evidence.kind == CheckKind.GATEWAY and evidence.outcome.executed
