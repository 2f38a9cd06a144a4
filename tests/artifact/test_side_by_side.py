"""Jobs that threads carry out come back in order and are made in order, one at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from pytest_aprqa.artifact import side_by_side as module
from pytest_aprqa.artifact.side_by_side import side_by_side


@pytest.fixture(autouse=True, params=[1, 2, 5])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    count: int = request.param
    monkeypatch.setattr(module.os, "cpu_count", lambda: count)
    return count


def squared(number: int) -> int:
    time.sleep(0.002 * (number % 3))
    return number * number


def failing(number: int) -> int:
    raise ValueError(number)


def test_results_come_in_the_order_of_the_jobs() -> None:
    jobs = (partial(squared, number) for number in range(50))
    assert side_by_side(jobs) == [number * number for number in range(50)]


def test_jobs_are_made_in_order_one_at_a_time_and_none_ahead(threads: int) -> None:
    making = threading.Lock()
    made, done = 0, []

    def job(number: int) -> int:
        done.append(number)
        return number

    def jobs() -> Iterator[Callable[[], int]]:
        nonlocal made
        for number in range(200):
            with making:
                assert made == number
                made += 1
                assert made - len(done) <= threads
            yield partial(job, number)

    assert side_by_side(jobs()) == sorted(done) == list(range(200))


def test_the_first_job_that_fails_is_what_is_raised_and_the_rest_is_left(threads: int) -> None:
    made = []

    def jobs() -> Iterator[Callable[[], int]]:
        for number in range(1000):
            made.append(number)
            yield partial(failing if number in (7, 8, 9) else squared, number)

    with pytest.raises(ValueError, match="7"):
        side_by_side(jobs())
    assert len(made) <= 8 + threads


def test_what_making_a_job_raises_is_raised() -> None:
    def jobs() -> Iterator[Callable[[], int]]:
        yield partial(squared, 1)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        side_by_side(jobs())


def test_a_key_press_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def pressed(workers: object) -> None:
        while len(made) < 3:
            time.sleep(0.001)
        raise KeyboardInterrupt

    def jobs() -> Iterator[Callable[[], int]]:
        for number in range(100_000):
            made.append(number)
            yield partial(squared, number)

    monkeypatch.setattr(module, "wait", pressed)
    with pytest.raises(KeyboardInterrupt):
        side_by_side(jobs())
    assert len(made) < 100_000


def test_no_job_is_no_result() -> None:
    assert side_by_side(iter(())) == []
