"""A shard: the checks of one playbook about one artifact and backend, carried out on one machine."""

from __future__ import annotations

import platform
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_aprqa.playbook.check import Check, CheckKind
from pytest_aprqa.playbook.plan import Plan
from pytest_aprqa.run.blank import not_run
from pytest_aprqa.run.diagnostics import write_bundle
from pytest_aprqa.run.laboratory import Laboratory
from pytest_aprqa.run.planning import PlannedPlaybook
from pytest_aprqa.run.resume import Kept
from pytest_aprqa.run.settings import Settings
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.words import Attribution, Cell, FailurePolicy, Outcome

CarryOut = Callable[[Check, Laboratory], Evidence]


@dataclass(frozen=True, slots=True)
class Order:
    """What a machine is told to do, beside the playbook's plan.

    Attributes:
        group: artifact and backend.
        done: names of the group's checks that have evidence.
        gateways: evidence of gateways that are known, so that no machine asks again.
        settings: the user's, with the shard's threads.
        carry_out: runs one check.
    """

    group: Cell
    done: frozenset[str]
    gateways: tuple[Evidence, ...]
    settings: Settings
    carry_out: CarryOut


@dataclass(frozen=True, slots=True)
class Parcel:
    """One record on its way to the driver.

    Compressed: Ray hands values below 100 kB to the driver itself, larger ones stay on the machine
    that made them and die with it.

    Attributes:
        content: a compressed record.
        bundle: files of diagnostics by name, when the failure policy asks for them.
    """

    content: bytes
    bundle: dict[str, bytes]

    def evidence(self) -> Evidence:
        return Evidence.model_validate_json(zlib.decompress(self.content))


def group_of(check: Check) -> Cell | None:
    """Return the artifact and backend a check belongs to; None when it looks back over the run."""
    if check.cell.format is None:
        return None
    return check.cell.engine


def groups_of(plan: Plan) -> tuple[Cell, ...]:
    """Return the shards of a plan, in its order."""
    groups = (group_of(check) for check in plan.checks)
    return tuple(dict.fromkeys(group for group in groups if group is not None))


def checks_of(plan: Plan, group: Cell | None) -> tuple[Check, ...]:
    """Return the checks of a shard, or with None those that look back over the run."""
    return tuple(check for check in plan.checks if group_of(check) == group)


def carry_out_shard(planned: PlannedPlaybook, order: Order) -> Iterator[Parcel]:
    """Carry out the checks of a shard that have no evidence yet, and yield each as it is done."""
    checks = [c for c in checks_of(planned.plan, order.group) if c.name not in order.done]
    laboratory = Laboratory(
        only_open(planned.plan, checks, order.done),
        planned.loaded.path,
        order.settings,
        planned.output,
        kept=Kept(records={record.check: record for record in order.gateways}),
    )
    try:
        for check in checks:
            evidence = _evidence(check, laboratory, order.carry_out)
            fatal = planned.failure_policy is FailurePolicy.FAIL_FAST and evidence.outcome.fails
            node = f"{planned.loaded.path}::{check.name}"
            bundle = _bundle(check, evidence, laboratory, node) if fatal else {}
            yield Parcel(zlib.compress(evidence.model_dump_json().encode()), bundle)
    finally:
        laboratory.close()


def only_open(plan: Plan, checks: Iterable[Check], done: frozenset[str]) -> Plan:
    """Return a plan without questions that are answered, so that no batch asks them again.

    The reference keeps its twin of every question that is still open.
    """
    asked = {check.scenario.name for check in checks if check.scenario}
    return replace(
        plan,
        checks=tuple(
            check
            for check in plan.checks
            if check.kind is not CheckKind.SCENARIO
            or (check.scenario and check.scenario.name in asked and check.name not in done)
        ),
    )


def _evidence(check: Check, laboratory: Laboratory, carry_out: CarryOut) -> Evidence:
    try:
        evidence = carry_out(check, laboratory)
    except Exception as error:  # noqa: BLE001 - one check's accident must not cost the others
        reason = f"call failed: {type(error).__name__}: {error}"
        evidence = not_run(check, Outcome.INCONCLUSIVE, reason, Attribution.ENVIRONMENT)
    observation = {**evidence.observation, "host": platform.node()}
    return evidence.model_copy(update={"observation": observation})


def _bundle(
    check: Check, evidence: Evidence, laboratory: Laboratory, node: str
) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory(prefix="aprqa-") as folder:
        directory = Path(folder)
        write_bundle(directory, check, evidence, laboratory, node)
        return {path.name: path.read_bytes() for path in directory.iterdir()}
