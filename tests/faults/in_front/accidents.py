"""A pytest plugin: an accident befalls a run when a check of it is reached.

`ACCIDENT` names the accident, `ACCIDENT_AT` the check. Some befall the process that carries the
check out, others the one that writes the journal; with workers these are two.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pytest_aprqa.engine import process
from pytest_aprqa.run import book, check

MODEL = Path("model.gguf")
JOURNAL = Path("certifications/plain/evidence.jsonl")


def _kernel_count() -> int:
    count = Path("oom-kills")
    return count.stat().st_size if count.exists() else 0


process.oom_kills = _kernel_count


def _die(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


def _fill_the_disk(room: int) -> None:
    limit = JOURNAL.stat().st_size + room
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


def _leave_no_room_for_the_certificate() -> None:
    conclude = book.Book.conclude

    def without_room(self: book.Book, **how: bool) -> object:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))
        return conclude(self, **how)

    book.Book.conclude = without_room  # type: ignore[assignment,method-assign]


def _fill_the_cache() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))


def _change_the_model() -> None:
    with MODEL.open("r+b") as file:
        file.seek(-3, os.SEEK_END)
        byte = file.read(1)
        file.seek(-3, os.SEEK_END)
        file.write(bytes([byte[0] ^ 1]))


class _Yesterday(datetime):
    @classmethod
    def now(cls, tz: object = None) -> datetime:
        return datetime.now(tz) - timedelta(days=1)  # type: ignore[arg-type]


def _turn_the_clock_back() -> None:
    now = time.time
    time.time = lambda: now() - 86400
    check.datetime = book.datetime = _Yesterday


def _wait_for_the_other() -> None:
    Path("waiting").touch()
    give_up = time.monotonic() + 60
    while not Path("go-on").exists() and time.monotonic() < give_up:
        time.sleep(0.02)


WHERE_IT_RUNS: dict[str, Callable[[], object]] = {
    "cache-full": _fill_the_cache,
    "clock-jump": _turn_the_clock_back,
    "model-changed": _change_the_model,
    "model-deleted": MODEL.unlink,
    "model-truncated": lambda: os.truncate(MODEL, MODEL.stat().st_size // 2),
    "second-run": _wait_for_the_other,
    "worker-killed": lambda: _die(signal.SIGKILL),
}

WHERE_IT_IS_WRITTEN: dict[str, Callable[[], object]] = {
    "certificate-unwritable": _leave_no_room_for_the_certificate,
    "ctrl-c": lambda: _die(signal.SIGINT),
    "ctrl-c-twice": lambda: _die(signal.SIGINT),
    "disk-full": lambda: _fill_the_disk(100),
    "journal-changed": lambda: _die(signal.SIGKILL),
    "journal-removed": JOURNAL.unlink,
    "journal-torn": lambda: _die(signal.SIGKILL),
    "run-killed": lambda: _die(signal.SIGKILL),
    "run-terminated": lambda: _die(signal.SIGTERM),
}


def _strikes(accidents: dict[str, Callable[[], object]], name: str) -> None:
    if name == os.environ.get("ACCIDENT_AT") and os.environ["ACCIDENT"] in accidents:
        accidents[os.environ["ACCIDENT"]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    _strikes(WHERE_IT_RUNS, item.name)
    return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ and report.when == "setup":
        _strikes(WHERE_IT_IS_WRITTEN, report.nodeid.partition("::")[2])


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    if os.environ.get("ACCIDENT") == "ctrl-c-twice":
        _die(signal.SIGINT)
