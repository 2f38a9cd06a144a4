from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_aprqa.fleet.cluster import FleetError
from pytest_aprqa.playbook.check import Check
from pytest_aprqa.registry.models_csv import read_rows
from pytest_aprqa.words import Attribution, FailurePolicy, Outcome, Status

pytestmark = pytest.mark.usefixtures("cluster")


def planned_names(ships: Any, playbook: Path) -> set[str]:
    return {check.name for check in ships.plan(playbook).plan.checks}


def once(marker: Path, harm: Callable[[], None], *names: str) -> Callable[[Check], None]:
    """Do harm in the process that comes to the first of these checks, the first time only."""
    path = str(marker)

    def before(check: Check) -> None:
        if check.name in names and not os.path.exists(path):  # noqa: PTH110 - pickled by value
            os.close(os.open(path, os.O_CREAT))
            harm()

    return before


def die() -> Callable[[], None]:
    def kill_this_worker() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    return kill_this_worker


def test_a_fleet_certifies_every_model_and_ends_in_one_registry_and_one_report(ships: Any) -> None:
    playbooks = [ships.playbook("one"), ships.playbook("two")]
    planned = [planned_names(ships, playbook) for playbook in playbooks]
    report = ships.sail(*playbooks)
    assert [result.model_id for result in report.results] == ["aprqa/one", "aprqa/two"]
    for result, names in zip(report.results, planned, strict=True):
        run = ships.run(result.model_id.partition("/")[2])
        assert {record.check for record in run.records} == names
        assert result.checks == len(names)
        assert result.score == run.certificate.score
        assert run.certificate.status is result.status
        assert all(record.observation.get("host") for record in run.records if record.format)
    rows = read_rows(ships.certifications / "models.csv")
    assert {row.model_id for row in rows} == {"aprqa/one", "aprqa/two"}
    page = (ships.certifications / "fleet.md").read_text(encoding="utf-8")
    assert "aprqa/one" in page
    assert "aprqa/two" in page


def test_a_dead_worker_costs_the_check_it_was_in(ships: Any, tmp_path: Path) -> None:
    playbook = ships.playbook("one")
    names = planned_names(ships, playbook)
    victim = "repeat[gguf-cpu]"
    assert victim in names
    report = ships.sail(playbook, before=once(tmp_path / "dead", die(), victim))
    begun = ships.begun()
    assert report.results[0].losses == 1
    assert sorted(ships.journal("one")) == sorted(names)
    assert begun[f"aprqa/one {victim}"] == 2
    assert all(count == 1 for name, count in begun.items() if not name.endswith(victim))
    assert any("lost its worker" in line for line in ships.said)


def test_a_check_that_kills_every_worker_is_set_aside(ships: Any) -> None:
    victim = "batch[gguf-cpu]"

    def deadly(check: Check) -> None:
        if check.name == victim:
            os.kill(os.getpid(), signal.SIGKILL)

    report = ships.sail(ships.playbook("one"), before=deadly)
    [record] = [record for record in ships.run("one").records if record.check == victim]
    assert record.outcome is Outcome.INCONCLUSIVE
    assert record.attribution is Attribution.ENVIRONMENT
    assert "3 workers died in this check" in record.reason
    assert report.results[0].losses == 3
    assert report.results[0].outcomes[Outcome.INCONCLUSIVE] == 1


def test_an_accident_in_one_check_leaves_the_others_alone(ships: Any) -> None:
    victim = "batch[gguf-cpu]"

    def stumble(check: Check) -> None:
        if check.name == victim:
            raise ZeroDivisionError("a fault of ours")

    ships.sail(ships.playbook("one"), before=stumble)
    records = {record.check: record for record in ships.run("one").records}
    assert records[victim].outcome is Outcome.INCONCLUSIVE
    assert records[victim].reason == "call failed: ZeroDivisionError: a fault of ours"
    assert records["G3"].outcome.executed


def test_what_ran_on_a_dead_machine_goes_on_at_another(
    ships: Any, cluster: Any, machine: Callable[[int], Any], tmp_path: Path
) -> None:
    playbook = ships.playbook("one")
    names = planned_names(ships, playbook)
    machines, where = [machine(3), machine(3)], tmp_path / "where"

    def say_where_and_hang() -> None:
        import ray

        where.write_text(ray.get_runtime_context().get_node_id(), encoding="utf-8")
        time.sleep(60)

    def lose_that_machine() -> None:
        while not (where.exists() and where.read_text("utf-8")):
            time.sleep(0.02)
        [lost] = [node for node in machines if node.node_id == where.read_text("utf-8")]
        cluster.remove_node(lost, allow_graceful=False)

    victim = "repeat[gguf-cpu]"
    accident = threading.Thread(target=lose_that_machine)
    accident.start()
    harm = once(tmp_path / "reached", say_where_and_hang, victim)
    report = ships.sail(playbook, before=harm, threads=3)
    accident.join()
    begun = ships.begun()
    assert report.results[0].losses == 1
    assert sorted(ships.journal("one")) == sorted(names)
    assert [name for name, count in begun.items() if count > 1] == [f"aprqa/one {victim}"]
    assert sum(not machine.is_alive for machine in report.machines) == 1


def test_checks_no_machine_can_hold_are_skipped_for_that_reason(ships: Any) -> None:
    report = ships.sail(ships.playbook("one"), threads=64, patience=0.0)
    records = [record for record in ships.run("one").records if record.format]
    assert {record.outcome for record in records} == {Outcome.SKIPPED}
    assert all("no machine of the cluster has 64 CPU" in record.reason for record in records)
    assert report.results[0].status is Status.FAIL
    assert not report.is_met


def test_the_failure_policy_holds_for_its_own_playbook_only(ships: Any) -> None:
    ships.playbook("strict", policy=FailurePolicy.STOP_ON_FIRST)
    path = ships.path / "strict.playbook.yaml"
    path.write_text(
        path.read_text("utf-8").replace(
            '["What is 2+2?",', '[{name: wrong, prompt: "Say 7", expected: "never said"},'
        ),
        encoding="utf-8",
    )
    ships.sail(path, ships.playbook("other"))
    records = {record.check: record for record in ships.run("strict").records}
    assert records["wrong[gguf-cpu-run]"].outcome is Outcome.FALSIFIED
    assert records["G3"].reason == "policy: stop-on-first after wrong[gguf-cpu-run] falsified"
    assert {
        record.check for record in ships.run("other").records if record.reason.startswith("policy")
    } == set()


def test_an_interrupted_fleet_goes_on_with_what_has_no_evidence(ships: Any, tmp_path: Path) -> None:
    finished, cut, unbegun = (ships.playbook(name) for name in ("done", "cut", "late"))
    names = planned_names(ships, cut)
    ships.sail(finished)
    run_id = ships.run("done").run_id
    # The journal of the second stops where its driver was killed.
    ships.sail(cut)
    journal = ships.certifications / "cut" / "evidence.jsonl"
    lines = journal.read_text("utf-8").splitlines(keepends=True)
    journal.write_text("".join(lines[:7]), encoding="utf-8")
    (ships.certifications / "cut" / "evidence.json").unlink()
    kept = ships.journal("cut")
    ships.trace.unlink()

    report = ships.sail(finished, cut, unbegun, resume=True)

    assert ships.run("done").run_id == run_id
    begun = ships.begun()
    assert not any(name.startswith("aprqa/done ") for name in begun)
    assert not {f"aprqa/cut {name}" for name in kept} & begun.keys()
    assert sorted(ships.journal("cut")) == sorted(names)
    assert [result.status for result in report.results] == [Status.CERTIFIED] * 3
    rows = read_rows(ships.certifications / "models.csv")
    assert {row.model_id for row in rows} == {"aprqa/done", "aprqa/cut", "aprqa/late"}


def test_breaking_in_keeps_what_was_done_for_the_next_time(ships: Any, tmp_path: Path) -> None:
    playbook, reached = ships.playbook("one"), tmp_path / "reached"
    names = planned_names(ships, playbook)

    def hang() -> None:
        for _ in range(600):  # a task is taken back between two steps of Python
            time.sleep(0.1)

    def break_in() -> None:
        while not reached.exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    user = threading.Thread(target=break_in)
    user.start()
    report = ships.sail(playbook, before=once(reached, hang, "repeat[gguf-cpu]"))
    user.join()
    assert report.interrupted
    assert report.results[0].status is Status.PARTIAL
    done = set(ships.journal("one"))
    assert done
    ships.trace.unlink()
    assert not ships.sail(playbook, resume=True).interrupted
    assert not {f"aprqa/one {name}" for name in done} & ships.begun().keys()
    assert {record.check for record in ships.run("one").records} == names


def test_playbooks_are_begun_in_the_order_they_were_given(ships: Any) -> None:
    names = ["d", "a", "c", "b"]
    ships.sail(*(ships.playbook(name) for name in names), threads=2)
    models = [line.split()[0] for line in ships.trace.read_text("utf-8").splitlines()]
    first_seen = dict.fromkeys(model for model in models)
    assert list(first_seen) == [f"aprqa/{name}" for name in names]


def test_two_playbooks_of_one_model_are_refused(ships: Any) -> None:
    first = ships.playbook("one")
    second = ships.path / "again.playbook.yaml"
    second.write_text(first.read_text("utf-8"), encoding="utf-8")
    with pytest.raises(FleetError, match="are of one model and would both write to"):
        ships.sail(first, second)


def test_a_playbook_another_run_writes_to_fails_alone(ships: Any) -> None:
    from filelock import FileLock

    busy, free = ships.playbook("busy"), ships.playbook("free")
    (ships.certifications / "busy").mkdir(parents=True)
    with FileLock(ships.certifications / "busy" / "evidence.jsonl.lock"):
        report = ships.sail(busy, free)
    failed, fine = report.results
    assert failed.status is Status.FAIL
    assert "another run is writing to" in failed.reason
    assert fine.status is not Status.FAIL
