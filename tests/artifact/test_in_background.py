"""Work in a thread of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_aprqa.artifact.in_background import in_background


def test_its_result_is_that_of_the_work() -> None:
    assert in_background("sum", lambda: 1 + 1, daemon=True).result(60) == 2


@pytest.mark.parametrize("error", [OSError("no"), SystemExit(3)])
def test_what_it_raises_is_met_by_whoever_asks(error: BaseException) -> None:
    def fail() -> None:
        raise error

    assert in_background("failing", fail, daemon=True).exception(60) is error


@pytest.mark.parametrize(
    ("daemon", "until", "said"),
    [(True, "Event().wait", ""), (False, "main_thread().join", "done")],
)
def test_the_end_of_the_process_waits_for_what_is_no_daemon(
    daemon: bool, until: str, said: str
) -> None:
    program = (
        "from threading import Event, main_thread\n"
        "from pytest_aprqa.artifact.in_background import in_background\n"
        f"work = lambda: {until}() or print('done', end='')\n"
        f"in_background('waiting', work, daemon={daemon})\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert (ended.stdout, ended.stderr) == (said, "")
