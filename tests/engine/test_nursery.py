"""Engines that are forked from a process which has imported what they need."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pytest_aprqa.artifact.digest import DigestCache
from pytest_aprqa.artifact.files import make_artifact
from pytest_aprqa.artifact.locate import BUILTIN
from pytest_aprqa.engine.nursery import MOST, Nursery, NurseryError, nursery
from pytest_aprqa.engine.open import open_engine
from pytest_aprqa.engine.process import engine_environment
from pytest_aprqa.engine.protocol import Engine, EngineError, Fault, Request
from pytest_aprqa.words import Backend, Format

LIMIT = 120.0
Waiting = Callable[[psutil.Process], None]


@pytest.fixture(autouse=True)
def no_others(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave the nurseries alone that engines of other tests live by."""
    kept: dict[object, Nursery] = {}
    monkeypatch.setattr("pytest_aprqa.engine.nursery._kept", kept)
    yield
    for one in kept.values():
        one.close()


@pytest.fixture
def torch_engine(no_others: None, tmp_path: Path) -> Engine:
    """An engine of transformers that nobody else uses."""
    artifact = make_artifact(
        Format.SAFETENSORS, BUILTIN / "aprqa-reference", "tests", DigestCache()
    )
    return open_engine(artifact, Backend.CPU, log_dir=tmp_path, threads=1)


def process_of(engine: Engine) -> psutil.Process:
    return psutil.Process(engine._process.pid)  # type: ignore[attr-defined]


def test_an_engine_is_a_child_of_the_nursery_in_a_session_of_its_own(torch_engine: Engine) -> None:
    torch_engine.load(LIMIT)
    process = process_of(torch_engine)
    parent = process.parent()
    assert parent is not None
    assert "pytest_aprqa.engine.nursery_child" in parent.cmdline()
    assert os.getsid(process.pid) == process.pid
    torch_engine.close()
    assert not psutil.pid_exists(process.pid)
    assert parent.is_running()


def test_a_crash_is_told_by_its_signal_and_the_next_call_starts_afresh(
    torch_engine: Engine,
    wait_until_dead: Waiting,
) -> None:
    torch_engine.load(LIMIT)
    process = process_of(torch_engine)
    process.send_signal(signal.SIGSEGV)
    wait_until_dead(process)
    with pytest.raises(EngineError) as caught:
        torch_engine.generate([Request("2+2=", max_tokens=1)], LIMIT)
    assert (caught.value.fault, caught.value.signal) == (Fault.CRASH, "SIGSEGV")
    assert torch_engine.generate([Request("2+2=", max_tokens=1)], LIMIT)
    torch_engine.close()


def test_what_an_engine_prints_is_in_its_own_log(torch_engine: Engine, tmp_path: Path) -> None:
    torch_engine.load(LIMIT)
    process = process_of(torch_engine)
    [log] = tmp_path.glob("*.log")
    for descriptor in (1, 2):
        assert Path(f"/proc/{process.pid}/fd/{descriptor}").readlink() == log
    torch_engine.close()


def test_when_its_nursery_dies_an_engine_dies_and_is_started_again(
    torch_engine: Engine, wait_until_dead: Waiting
) -> None:
    torch_engine.load(LIMIT)
    process = process_of(torch_engine)
    parent = process.parent()
    assert parent is not None
    parent.kill()
    wait_until_dead(process)
    with pytest.raises(EngineError) as caught:
        torch_engine.generate([Request("2+2=", max_tokens=1)], LIMIT)
    assert caught.value.fault is Fault.CRASH
    assert torch_engine.generate([Request("2+2=", max_tokens=1)], LIMIT)
    torch_engine.close()


def test_a_nursery_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    broken = Nursery(engine_environment(os.environ, 1) | {"PYTHONHOME": str(tmp_path)})
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(NurseryError):
        broken.start("{}", theirs, tmp_path / "log")
    assert not broken.lives()


def test_no_more_are_kept_than_memory_is_worth() -> None:
    environments = [
        engine_environment(os.environ, 1) | {"LC_NUMBER": str(n)} for n in range(MOST + 1)
    ]
    kept = [nursery(environment) for environment in environments]
    assert None in kept
    for one in kept:
        if one is not None:
            one.close()
