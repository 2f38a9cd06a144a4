"""A shard as the driver sees it: a Ray task that streams records back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from pytest_aprqa.fleet.cluster import Node
from pytest_aprqa.fleet.needs import Needs
from pytest_aprqa.fleet.shard import CarryOut, Order, Parcel, carry_out_shard
from pytest_aprqa.run.settings import Settings
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.words import Cell

UNREAD = 2
"""Records a shard may be ahead of the driver: what a dying machine costs beside its check."""


@dataclass(slots=True)
class ShardTask:
    """The task of a shard, and of what is left of it when a machine died.

    Attributes:
        group: format and backend.
        needs: what it occupies.
        done: names of its checks that have evidence.
        stream: the parcels of the task that is under way.
        submissions: how often it was handed to Ray.
        is_waiting: the task has sent nothing yet.
        unfit_since: seconds on a monotonic clock since when no machine could hold it.
        stranded: why it was taken back, or "".
    """

    group: Cell
    needs: Needs
    done: set[str] = field(default_factory=set)
    stream: Any = None
    submissions: int = 0
    is_waiting: bool = False
    unfit_since: float | None = None
    stranded: str = ""

    def submit(
        self, plan: Any, gateways: Iterable[Evidence], settings: Settings, carry_out: CarryOut
    ) -> Any:
        """Hand the checks without evidence to Ray; return the stream of their parcels.

        Args:
            plan: Ray's reference to the PlannedPlaybook.
            gateways: what is known of the playbook's gateways.
            settings: the user's.
            carry_out: runs one check.
        """
        order = Order(
            group=self.group,
            done=frozenset(self.done),
            gateways=tuple(gateways),
            settings=replace(settings, threads=self.needs.cpus, resume=False),
            carry_out=carry_out,
        )
        # Ray queues tasks by their needs. One byte more is another queue, which the shards of a
        # machine that died share, so that they need not wait behind all that was not begun.
        self.submissions += 1
        task = _remote().options(
            num_cpus=self.needs.cpus,
            num_gpus=self.needs.gpus,
            memory=self.needs.memory + (self.submissions > 1),
        )
        self.is_waiting = True
        self.stream = task.remote([plan], order)
        return self.stream

    def cancel(self) -> None:
        """Take the task back, running or not."""
        import ray

        if self.stream is not None:
            ray.cancel(self.stream)

    def strand(self, machines: Iterable[Node], now: float, patience: float) -> None:
        """Take the task back when for too long no machine could have held it."""
        fits = any(self.needs.fit(node.resources) for node in machines if node.is_alive)
        if fits or not self.is_waiting or self.stranded:
            self.unfit_since = None
            return
        self.unfit_since = now if self.unfit_since is None else self.unfit_since
        if now - self.unfit_since >= patience:
            self.stranded = f"no machine of the cluster has {self.needs}"
            self.cancel()


@cache
def _remote() -> Any:
    """Return the task of every shard.

    Tasks of one function with equal needs and no bare reference among their arguments are begun in
    the order in which they were submitted. In any other order the driver would have to hold many
    playbooks open at once.
    """
    import ray

    return ray.remote(
        num_returns="streaming",
        max_retries=0,  # Ray would run the whole shard again, we run what has no evidence
        _generator_backpressure_num_objects=UNREAD,
    )(_run)


def _run(plan: list[Any], order: Order) -> Iterator[Parcel]:
    """Carry out a shard on the machine Ray chose; the plan's reference is the only item."""
    import ray

    [reference] = plan
    yield from carry_out_shard(ray.get(reference), order)
