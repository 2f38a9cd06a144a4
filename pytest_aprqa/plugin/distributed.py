"""What changes under pytest-xdist: who runs what, and what becomes of a dead worker."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from statistics import mean
from typing import Any

import pytest
from xdist.report import report_collection_diff
from xdist.scheduler import LoadScheduling
from xdist.workermanage import WorkerController, parse_tx_spec_config

from pytest_aprqa.engine.devices import cuda_devices
from pytest_aprqa.plugin.nodeid import (
    asks_reference_alone,
    is_closing,
    is_gpu,
    is_invariant,
    is_loading,
    is_playbook_item,
    load_group,
    runs_on_llama_cpp,
)
from pytest_aprqa.plugin.worker_input import DEVICE, RUN_ID

WORTH_A_LOAD = 40
"""Checks that take longer than loading a model again: some seconds against some tenths each."""


TIMES_FASTER = 2
"""How many checks llama.cpp makes while torch makes one, by the durations of whole runs."""


class Distributed:
    """Schedules by what must be loaded, and makes a dead worker an ordinary failure."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self._devices = Devices()

    def pytest_configure_node(self, node: WorkerController) -> None:
        from pytest_aprqa.plugin.stop import run_id

        node.workerinput[RUN_ID] = run_id(self.config)
        self._devices.take(node)

    def pytest_testnodedown(self, node: WorkerController) -> None:
        self._devices.give_back(node)

    def pytest_xdist_make_scheduler(
        self, config: pytest.Config, log: Any
    ) -> ChosenScheduling | None:
        return ChosenScheduling(config, log) if config.getoption("dist") == "load" else None

    def pytest_handlecrashitem(self, report: Any) -> None:
        """Label xdist's crash report as the call that was cut short."""
        report.when = "call"
        report.aprqa_crashed = True

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        """Follow a crash with the teardown that reporters wait for before they show an item."""
        if getattr(report, "aprqa_crashed", False):
            end = pytest.TestReport(report.nodeid, report.location, {}, "passed", None, "teardown")
            end.node = report.node  # type: ignore[attr-defined]
            self.config.hook.pytest_runtest_logreport(report=end)


class Devices:
    """The GPUs of this machine, each handed to one worker at a time."""

    def __init__(self) -> None:
        self._free = cuda_devices()
        self._held: dict[str, str] = {}

    def take(self, node: WorkerController) -> None:
        """Give a worker on this machine a GPU while there is one; others have their own."""
        if self._free and node.gateway.spec.popen:
            device = self._held[node.gateway.id] = self._free.pop(0)
            node.workerinput[DEVICE] = device

    def give_back(self, node: WorkerController) -> None:
        """Free the GPU of a worker that is gone, for the one that comes in its place."""
        if device := self._held.pop(node.gateway.id, None):
            self._free.append(device)


def may_take(node: WorkerController, nodeid: str) -> bool:
    """Whether a worker may run an item: one that has no GPU leaves GPU items to those that have."""
    if not is_gpu(nodeid) or not node.gateway.spec.popen or not cuda_devices():
        return True
    return DEVICE in node.workerinput


class ChosenScheduling:
    """Load groups for a session with playbooks, xdist's own scheduling for any other.

    Which it is shows when the workers have collected; until then both are told the same.
    """

    def __init__(self, config: pytest.Config, log: Any) -> None:
        self._groups = LoadGroupScheduling(config)
        self._plain = LoadScheduling(config, log)
        self._chosen: LoadGroupScheduling | LoadScheduling | None = None

    def add_node(self, node: WorkerController) -> None:
        for scheduling in self._active:
            scheduling.add_node(node)

    def add_node_collection(self, node: WorkerController, collection: Sequence[str]) -> None:
        for scheduling in self._active:
            scheduling.add_node_collection(node, collection)
        if self._chosen is None and any(map(is_playbook_item, collection)):
            self._chosen = self._groups

    def schedule(self) -> None:
        self._chosen = self._chosen or self._plain
        self._chosen.schedule()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chosen or self._groups, name)

    @property
    def _active(self) -> Sequence[Any]:
        return (self._chosen,) if self._chosen else (self._groups, self._plain)


class LoadGroupScheduling:
    """An xdist scheduler that hands whole load groups to workers, and the closing items last.

    Checks of one artifact and backend share a loaded model, so they go to one worker, the
    reference's first, then the groups that take longest; a worker for each GPU. With more workers
    than groups a large group is split, since loading its model again costs less than waiting for
    it. The invariants of an artifact are a group of their own, that another worker is given when
    the one that has the model loaded is busy for longer than loading took. Closing items look back
    over the whole run: they go to the last worker that still works, when every other item is done.

    A worker starts an item only when it knows the next one or has been told to shut down. So a
    worker is kept at two pending items for as long as there are groups to hand out.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.collection: list[str] | None = None
        self._expected_nodes = len(parse_tx_spec_config(config))
        self._groups: deque[list[int]] = deque()
        self._closing: list[int] = []
        self._pending: dict[WorkerController, list[int]] = {}
        self._collected: dict[WorkerController, Sequence[str]] = {}
        self._seconds: dict[int, float] = {}
        self._has_loaded: dict[str, WorkerController] = {}

    @property
    def nodes(self) -> list[WorkerController]:
        return list(self._pending)

    @property
    def collection_is_completed(self) -> bool:
        return len(self._collected) >= self._expected_nodes

    @property
    def has_pending(self) -> bool:
        return bool(self._groups or self._closing) or any(self._pending.values())

    @property
    def tests_finished(self) -> bool:
        unfinished = any(len(indices) > 1 for indices in self._pending.values())
        return (
            self.collection_is_completed
            and not self._groups
            and not self._closing
            and not unfinished
        )

    def add_node(self, node: WorkerController) -> None:
        self._pending[node] = []

    def add_node_collection(self, node: WorkerController, collection: Sequence[str]) -> None:
        self._collected[node] = collection

    def schedule(self) -> None:
        if self.collection is None and not self._agree():
            return
        self._feed_all()

    def mark_test_complete(
        self, node: WorkerController, item_index: int, duration: float = 0
    ) -> None:
        self._pending[node].remove(item_index)
        self._seconds[item_index] = duration
        self._feed_all()

    def mark_test_pending(self, item: str) -> None:
        assert self.collection is not None
        self._groups.appendleft([self.collection.index(item)])
        self._feed_all()

    def remove_pending_tests_from_node(
        self, node: WorkerController, indices: Sequence[int]
    ) -> None:
        raise AssertionError("asked only of schedulers that take work back")

    def remove_node(self, node: WorkerController) -> str | None:
        """Requeue what the worker had left; return the item it died in, if it died in one."""
        pending = self._pending.pop(node)
        if not pending:
            return None
        assert self.collection is not None
        crashed, *rest = pending
        if rest:
            self._groups.appendleft(rest)
        self._feed_all()
        return self.collection[crashed]

    def _agree(self) -> bool:
        """Take over the collection if all workers made the same; else report how they differ."""
        (first, collection), *others = self._collected.items()
        self.collection = list(collection)
        agreed = True
        for node, other in others:
            difference = report_collection_diff(
                self.collection, other, first.gateway.id, node.gateway.id
            )
            if difference:
                agreed = False
                report = pytest.CollectReport(node.gateway.id, "failed", difference, [])
                self.config.hook.pytest_collectreport(report=report)
        if agreed:
            groups, self._closing = grouped(self.collection, len(self._collected))
            self._groups.extend(groups)
        return agreed

    def _feed_all(self) -> None:
        for node in self.nodes:
            if not node.shutting_down and node in self._collected:
                self._feed(node)

    def _feed(self, node: WorkerController) -> None:
        while len(self._pending[node]) < 2 and (group := self._next_for(node)):
            self._groups.remove(group)
            self._send(node, group)
        if len(self._pending[node]) > 1:
            return
        others = [other for other in self.nodes if other is not node]
        if self._closing and all(other.shutting_down for other in others):
            if any(self._pending[other] for other in others):
                return
            self._send(node, self._closing)
            self._closing = []
        node.shutdown()

    def _next_for(self, node: WorkerController) -> list[int] | None:
        assert self.collection is not None
        for group in self._groups:
            first = self.collection[group[0]]
            if may_take(node, first) and self._is_worth(node, first):
                return group
        return None

    def _is_worth(self, node: WorkerController, nodeid: str) -> bool:
        """Whether a worker is given a group, for invariants though another has their model loaded."""
        assert self.collection is not None
        group = load_group(nodeid)
        loaded = self._has_loaded.get(group, node)
        if not is_invariant(nodeid) or loaded is node or not self._pending.get(loaded):
            return True
        busy_with = load_group(self.collection[self._pending[loaded][-1]])
        each = mean(self._seconds_of(busy_with, loading=False) or [0.0])
        return len(self._pending[loaded]) * each > sum(self._seconds_of(group, loading=True))

    def _seconds_of(self, group: str, *, loading: bool) -> list[float]:
        """Return how long those items of a group took that are done: its gateways, or the rest."""
        assert self.collection is not None
        done = ((self.collection[index], took) for index, took in self._seconds.items())
        return [
            took
            for nodeid, took in done
            if load_group(nodeid) == group and is_loading(nodeid) is loading
        ]

    def _send(self, node: WorkerController, indices: list[int]) -> None:
        assert self.collection is not None
        first = self.collection[indices[0]]
        if not is_invariant(first):
            self._has_loaded[load_group(first)] = node
        self._pending[node] += indices
        node.send_runtest_some(indices)


def grouped(collection: Sequence[str], workers: int) -> tuple[list[list[int]], list[int]]:
    """Return the load groups of a collection in the order they are handed out, and what closes it.

    The reference's come first: a worker that has its answers compares what it is given next with
    them. Then come those that take longest, so that no worker is left with one at the end, and
    what is left at the end are the invariants.
    """
    groups: dict[str, list[int]] = {}
    invariants: dict[str, list[int]] = {}
    closing: list[int] = []
    for index, nodeid in enumerate(collection):
        if is_closing(nodeid):
            closing.append(index)
            continue
        kind = invariants if workers > 1 and is_invariant(nodeid) else groups
        kind.setdefault(load_group(nodeid), []).append(index)

    def rank(part: Sequence[int]) -> tuple[bool, float]:
        first = collection[part[0]]
        effort = len(part) / (TIMES_FASTER if runs_on_llama_cpp(first) else 1)
        return not asks_reference_alone(first), -effort

    whole = sorted(split(groups.values(), workers), key=rank)
    return [*whole, *sorted(invariants.values(), key=rank)], closing


def split(groups: Iterable[Sequence[int]], workers: int) -> list[list[int]]:
    """Return groups, the largest first, halved until every worker has one or it does not pay."""
    parts = sorted(map(list, groups), key=len, reverse=True)
    while parts and len(parts) < workers and len(parts[0]) >= 2 * WORTH_A_LOAD:
        largest = parts.pop(0)
        middle = len(largest) // 2
        parts += [largest[:middle], largest[middle:]]
        parts.sort(key=len, reverse=True)
    return parts
