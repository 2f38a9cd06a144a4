from __future__ import annotations

import json
from types import SimpleNamespace

import execnet
import pytest

from pytest_aprqa.engine.devices import cuda_devices
from pytest_aprqa.plugin.distributed import (
    DEVICE,
    WORTH_A_LOAD,
    Devices,
    LoadGroupScheduling,
    grouped,
    may_take,
    split,
)
from pytest_aprqa.plugin.nodeid import is_closing, load_group


def outcomes(session):
    evidence = session.evidence()
    return {r["check"]: r["outcome"] for r in evidence["records"]}, evidence["mqs"]["raw"]


def test_two_workers_come_to_the_same_outcomes_and_score(session):
    playbook = session.playbook.replace("[gguf]", "[safetensors, gguf]")
    session.run("-n", "0", playbook=playbook)
    alone = outcomes(session)
    for path in session.output.iterdir():
        path.unlink()
    session.run("-n", "2", playbook=playbook)
    assert outcomes(session) == alone


def test_a_dead_worker_costs_one_check(session):
    session.pytester.makeconftest(
        """
        import os
        import signal
        import pytest

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_call(item):
            if item.name == "repeat[gguf-cpu]":
                os.kill(os.getpid(), signal.SIGKILL)
            return (yield)
        """
    )
    result = session.run("-n", "2", "--junitxml", "out.xml")
    found, _ = outcomes(session)
    assert found["repeat[gguf-cpu]"] == "inconclusive"
    assert found["cancellation[gguf-cpu]"] == "corroborated"
    assert found["G3"] == "corroborated"
    assert result.ret == 1


def test_sessions_without_playbooks_are_scheduled_by_xdist_itself(pytester):
    pytester.makepyfile(
        "import pytest\n@pytest.mark.parametrize('n', range(9))\ndef test_n(n): pass"
    )
    result = pytester.runpytest_subprocess("-n", "2")
    result.assert_outcomes(passed=9)


@pytest.mark.parametrize(
    ("nodeid", "group"),
    [
        ("a/x.playbook.yaml::arithmetic-001[gguf-cpu-run]", "a/x.playbook.yaml gguf-cpu"),
        ("x.playbook.yaml::G1[apr-gpu]", "x.playbook.yaml apr-gpu"),
        ("x.playbook.yaml::I-4[gguf]", "x.playbook.yaml gguf-cpu"),
        ("x.playbook.yaml::I-4[gguf-q8_0]", "x.playbook.yaml gguf-q8_0-cpu"),
        ("x.playbook.yaml::a[gguf-q8_0-gpu-chat]", "x.playbook.yaml gguf-q8_0-gpu"),
        ("test_x.py::test_a[1]", "test_x.py::test_a[1]"),
    ],
)
def test_checks_of_one_artifact_and_backend_are_one_load_group(nodeid, group):
    assert load_group(nodeid) == group


def test_a_large_group_is_split_when_workers_would_stand_idle():
    groups = [list(range(200)), list(range(200, 250))]
    parts = split(groups, 4)
    assert [len(part) for part in parts] == [100, 50, 50, 50]
    assert sorted(index for part in parts for index in part) == list(range(250))


def test_a_group_is_not_split_when_loading_again_costs_more():
    groups = [list(range(2 * WORTH_A_LOAD - 1))]
    assert split(groups, 8) == groups


def test_groups_are_not_split_when_there_are_enough_of_them():
    groups = [list(range(500)), list(range(500, 1000))]
    assert split(groups, 2) == groups


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        (["a[safetensors-cpu-run]", "a[gguf-cpu-run]", "b[gguf-cpu-run]"], [[0], [1, 2]]),
        (["a[apr-cpu-run]", "b[apr-cpu-run]", "a[safetensors-cpu-run]"], [[2], [0, 1]]),
        (["a[gguf-q8_0-cpu]", "a[gguf-cpu]", "b[gguf-cpu]", "I-4[apr]", "I-5[apr]", "b[apr-cpu]"],
         [[1, 2], [5], [0], [3, 4]]),
    ],
)  # fmt: skip
def test_the_reference_is_begun_first_then_what_takes_longest(names, groups):
    collection = [f"x.playbook.yaml::{name}" for name in (*names, "G3")]
    assert grouped(collection, 2) == (groups, [len(names)])


@pytest.mark.parametrize(
    ("visible", "devices"), [("", []), ("-1", []), ("2,5", ["2", "5"]), ("GPU-a", ["GPU-a"])]
)
def test_workers_share_the_gpus_the_user_left_visible(monkeypatch, visible, devices):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert cuda_devices() == devices


class Node:
    """What of a worker's controller says where it is and what it was given."""

    def __init__(self, number, popen=True):
        self.gateway = SimpleNamespace(
            id=f"gw{number}", spec=execnet.XSpec("popen" if popen else "ssh=host")
        )
        self.workerinput = {}


def test_each_gpu_has_one_worker_of_this_machine_and_a_new_one_when_that_dies(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    devices = Devices()
    nodes = [Node(0), Node(1, popen=False), Node(2), Node(3)]
    for node in nodes:
        devices.take(node)
    assert [node.workerinput.get(DEVICE) for node in nodes] == ["2", None, "5", None]
    devices.give_back(nodes[0])
    successor = Node(4)
    devices.take(successor)
    assert successor.workerinput[DEVICE] == "2"


def test_a_worker_without_a_gpu_leaves_gpu_items_to_others(monkeypatch):
    gpu, cpu = "x.playbook.yaml::G1[gguf-gpu]", "x.playbook.yaml::G1[gguf-cpu]"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    devices, nodes = Devices(), [Node(0), Node(1)]
    for node in nodes:
        devices.take(node)
    assert [may_take(node, gpu) for node in nodes] == [True, False]
    assert may_take(nodes[1], cpu)
    assert may_take(Node(2, popen=False), gpu)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert may_take(nodes[1], gpu), "the items are skipped there as well as anywhere"


class Worker(Node):
    """A worker that is told what to run."""

    def __init__(self, number):
        super().__init__(number)
        self.shutting_down = False
        self.given = []

    def send_runtest_some(self, indices):
        self.given += indices

    def shutdown(self):
        self.shutting_down = True


NAMES = (
    [f"a{n}[safetensors-cpu-run]" for n in range(4)]
    + [f"G{n}[gguf-cpu]" for n in range(3)]
    + [f"a{n}[gguf-cpu-run]" for n in range(9)]
    + ["I-1[gguf]", "I-4[gguf]"]
)
ONE, OTHER, INVARIANTS = list(range(4)), list(range(4, 16)), [16, 17]


@pytest.fixture
def workers():
    """Two workers, of which one has the reference and the other the GGUF."""
    config = SimpleNamespace(getvalue=lambda name: ["2*popen"])
    scheduling, nodes = LoadGroupScheduling(config), [Worker(0), Worker(1)]
    for node in nodes:
        scheduling.add_node(node)
        scheduling.add_node_collection(node, [f"x.playbook.yaml::{name}" for name in NAMES])
    scheduling.schedule()
    assert [node.given for node in nodes] == [ONE, OTHER]
    return scheduling, *nodes


def run(scheduling, node, indices, seconds):
    for index in indices:
        scheduling.mark_test_complete(node, index, seconds)


def test_invariants_go_to_an_idle_worker_when_the_one_with_the_model_is_busy_for_long(workers):
    scheduling, idle, busy = workers
    run(scheduling, busy, OTHER[:5], 1.0)  # seven more seconds, and three to load
    run(scheduling, idle, ONE, 1.0)
    assert idle.given == ONE + INVARIANTS
    run(scheduling, busy, OTHER[5:], 1.0)
    assert busy.given == OTHER
    run(scheduling, idle, INVARIANTS, 1.0)
    assert scheduling.tests_finished


@pytest.mark.parametrize(("done", "quick"), [(10, 1.0), (4, 0.01), (0, 1.0)])
def test_invariants_stay_with_their_model_when_loading_it_again_costs_more(workers, done, quick):
    scheduling, idle, busy = workers
    run(scheduling, busy, OTHER[:3][:done], 1.0)
    run(scheduling, busy, OTHER[3:done], quick)
    run(scheduling, idle, ONE, 1.0)
    assert idle.given == ONE
    assert idle.shutting_down
    run(scheduling, busy, OTHER[done:], 1.0)
    assert busy.given == OTHER + INVARIANTS


def test_invariants_of_a_worker_that_died_go_to_whoever_is_left(workers):
    scheduling, other, dying = workers
    assert scheduling.remove_node(dying).endswith(NAMES[4])
    run(scheduling, other, ONE, 1.0)
    run(scheduling, other, OTHER[1:], 0.0)
    assert other.given == ONE + OTHER[1:] + INVARIANTS


def test_one_worker_is_given_the_invariants_with_their_model():
    groups, _ = grouped([f"x.playbook.yaml::{name}" for name in NAMES], 1)
    assert groups == [ONE, OTHER + INVARIANTS]


def test_checks_without_a_cell_close_the_run():
    assert is_closing("x.playbook.yaml::G3")
    assert not is_closing("x.playbook.yaml::G0[gguf]")
    assert not is_closing("test_x.py::test_a")


def test_the_journal_holds_what_the_workers_found(session):
    session.run("-n", "2")
    lines = (session.output / "evidence.jsonl").read_text().splitlines()
    names = [json.loads(line)["record"]["check"] for line in lines[1:]]
    assert sorted(names) == sorted(r["check"] for r in session.evidence()["records"])
    assert names[-1] == "G3"
