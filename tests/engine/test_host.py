"""Engines that crash, hang, are interrupted or lose their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from pytest_aprqa.engine.open import open_engine
from pytest_aprqa.engine.protocol import Engine, EngineError, Fault, Request
from pytest_aprqa.observation import FinishReason
from pytest_aprqa.words import Backend, Format

LIMIT = 60.0
QUESTION = Request("the quick brown", max_tokens=8)
Processes = Callable[[], list[psutil.Process]]
Waiting = Callable[[psutil.Process], None]


def the_only(processes: list[psutil.Process]) -> psutil.Process:
    (process,) = processes
    return process


def test_nothing_starts_before_the_first_use(
    fresh_engine: Engine, engine_processes: Processes
) -> None:
    assert engine_processes() == []
    fresh_engine.close()
    assert engine_processes() == []


def test_a_model_is_loaded_once_for_many_calls(
    fresh_engine: Engine, engine_processes: Processes
) -> None:
    report = fresh_engine.load(LIMIT)
    first = the_only(engine_processes()).pid
    fresh_engine.generate([QUESTION], LIMIT)
    assert fresh_engine.load(LIMIT) is report
    assert the_only(engine_processes()).pid == first


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGKILL"])
def test_a_process_that_dies_within_a_call_is_a_crash_and_the_next_call_is_answered(
    name: str, fresh_engine: Engine, engine_processes: Processes
) -> None:
    expected = fresh_engine.generate([QUESTION], LIMIT)[0].token_ids
    process = the_only(engine_processes())
    process.suspend()
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(fresh_engine.generate, [QUESTION], LIMIT)
        time.sleep(0.05)
        assert not call.done()
        process.send_signal(getattr(signal, name))
        with suppress(psutil.NoSuchProcess):  # SIGKILL ends a stopped process too
            process.resume()
        with pytest.raises(EngineError) as caught:
            call.result()
    assert caught.value.fault is Fault.CRASH
    assert caught.value.signal == name
    assert fresh_engine.generate([QUESTION], LIMIT)[0].token_ids == expected
    assert the_only(engine_processes()).pid != process.pid


def test_a_segmentation_fault_leaves_its_traceback_in_the_error(
    fresh_engine: Engine, engine_processes: Processes, wait_until_dead: Waiting
) -> None:
    fresh_engine.load(LIMIT)
    process = the_only(engine_processes())
    process.send_signal(signal.SIGSEGV)
    wait_until_dead(process)
    with pytest.raises(EngineError) as caught:
        fresh_engine.generate([QUESTION], LIMIT)
    assert "Fatal Python error: Segmentation fault" in caught.value.stderr
    assert len(caught.value.stderr) <= 8 * 1024


def test_a_process_that_died_between_two_calls_is_not_passed_over(
    fresh_engine: Engine, engine_processes: Processes, wait_until_dead: Waiting
) -> None:
    fresh_engine.load(LIMIT)
    process = the_only(engine_processes())
    process.kill()
    wait_until_dead(process)
    with pytest.raises(EngineError) as caught:
        fresh_engine.generate([QUESTION], LIMIT)
    assert (caught.value.fault, caught.value.signal) == (Fault.CRASH, "SIGKILL")
    assert fresh_engine.load(LIMIT).vocab_size == 300


def test_a_hang_is_killed_at_its_limit_and_the_next_call_is_answered(
    fresh_engine: Engine, engine_processes: Processes
) -> None:
    fresh_engine.load(LIMIT)
    process = the_only(engine_processes())
    process.suspend()
    started = time.monotonic()
    with pytest.raises(EngineError, match=r"generate did not end within 0\.3 s") as caught:
        fresh_engine.generate([QUESTION], 0.3)
    assert caught.value.fault is Fault.TIMEOUT
    assert time.monotonic() - started < 10
    assert not process.is_running()
    assert fresh_engine.generate([QUESTION], LIMIT)[0].finish is FinishReason.LENGTH


def test_an_interrupt_within_a_call_ends_the_engine_cleanly(
    fresh_engine: Engine, engine_processes: Processes
) -> None:
    fresh_engine.load(LIMIT)
    the_only(engine_processes()).suspend()
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        fresh_engine.generate([QUESTION], LIMIT)
    timer.join()
    assert engine_processes() == []


def test_closing_leaves_no_process_port_or_descriptor(
    fresh_engine: Engine, engine_processes: Processes
) -> None:
    me = psutil.Process()
    before = me.num_fds()
    fresh_engine.load(LIMIT)
    endpoint = fresh_engine.serve(LIMIT)
    fresh_engine.close()
    fresh_engine.close()
    assert engine_processes() == []
    assert me.num_fds() == before
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{endpoint.base_url}/health", trust_env=False)
    assert all(child.status() != psutil.STATUS_ZOMBIE for child in me.children())


def test_a_server_that_dies_while_it_is_asked_is_a_crash(
    fresh_engine: Engine, engine_processes: Processes
) -> None:
    fresh_engine.serve(LIMIT)
    process = the_only(engine_processes())
    process.suspend()
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(fresh_engine.generate_over_http, QUESTION, LIMIT)
        time.sleep(0.3)
        process.send_signal(signal.SIGSEGV)
        process.resume()
        with pytest.raises(EngineError) as caught:
            call.result()
    assert (caught.value.fault, caught.value.signal) == (Fault.CRASH, "SIGSEGV")
    assert fresh_engine.generate_over_http(QUESTION, LIMIT).finish is FinishReason.LENGTH


def test_a_server_that_does_not_answer_is_killed(
    fresh_engine: Engine, engine_processes: Processes
) -> None:
    fresh_engine.serve(LIMIT)
    process = the_only(engine_processes())
    process.suspend()
    with pytest.raises(EngineError) as caught:
        fresh_engine.generate_over_http(QUESTION, 0.3)
    assert caught.value.fault is Fault.TIMEOUT
    assert not process.is_running()


def test_peak_memory_is_that_of_the_engine_and_survives_it(
    fresh_engine: Engine, engine_processes: Processes
) -> None:
    assert fresh_engine.peak_memory() == 0
    fresh_engine.load(LIMIT)
    peak = fresh_engine.peak_memory()
    assert peak >= the_only(engine_processes()).memory_info().rss // 2 > 1 << 20
    fresh_engine.close()
    assert fresh_engine.peak_memory() == peak


_PARENT = """
import sys, threading, time
from pathlib import Path
from pytest_aprqa.artifact.model import Artifact
from pytest_aprqa.engine.open import open_engine
from pytest_aprqa.words import Backend, Format
path, logs, where = sys.argv[1:]
engine = open_engine(
    Artifact(Format.GGUF, Path(path), (Path(path),), "0" * 64, "test"),
    Backend.CPU, log_dir=Path(logs), threads=1,
)
if where == "thread":
    thread = threading.Thread(target=engine.load, args=(60,))
    thread.start()
    thread.join()
engine.load(60)
print("loaded", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize(("where", "stopped"), [("main", False), ("main", True), ("thread", False)])
def test_a_parent_that_is_killed_takes_its_engine_along(
    where: str, stopped: bool, tmp_path: Path, tiny_gguf: Path, wait_until_dead: Waiting
) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(tiny_gguf), str(tmp_path), where],
        stdout=subprocess.PIPE,
    )
    with parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"loaded\n"
        engine = the_only(psutil.Process(parent.pid).children(recursive=True))
        if stopped:
            engine.suspend()
        parent.kill()
    wait_until_dead(engine)


def test_an_engine_that_is_forgotten_ends(
    tmp_path: Path, tiny_gguf: Path, engine_processes: Processes
) -> None:
    from pytest_aprqa.artifact.model import Artifact

    artifact = Artifact(Format.GGUF, tiny_gguf, (tiny_gguf,), "0" * 64, "test")
    engine = open_engine(artifact, Backend.CPU, log_dir=tmp_path, threads=1)
    engine.load(LIMIT)
    assert len(engine_processes()) == 1
    del engine
    assert engine_processes() == []
