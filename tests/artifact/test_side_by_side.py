"""Jobs that threads carry out come back in order, are made in order, and not all at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from pytest_aprqa.artifact.side_by_side import side_by_side


def squared(number: int) -> int:
    time.sleep(0.002 * (number % 3))
    return number * number


def test_results_come_in_the_order_of_the_jobs() -> None:
    jobs = (partial(squared, number) for number in range(50))
    assert list(side_by_side(jobs)) == [number * number for number in range(50)]


def test_jobs_are_made_by_the_thread_that_asks_and_only_a_few_ahead() -> None:
    made: list[int] = []

    def jobs() -> Iterator[Callable[[], int]]:
        for number in range(1000):
            assert threading.current_thread() is asking
            made.append(number)
            yield partial(squared, number)

    asking = threading.current_thread()
    results = side_by_side(jobs())
    assert next(results) == 0
    assert 1 < len(made) < 100
    results.close()
    assert len(made) < 100


def test_what_a_job_raises_is_raised_where_its_result_is_asked_for() -> None:
    def fails() -> int:
        raise ValueError("seven")

    results = side_by_side(
        fails if number == 7 else partial(squared, number) for number in range(9)
    )
    assert [next(results) for _ in range(7)] == [number * number for number in range(7)]
    with pytest.raises(ValueError, match="seven"):
        next(results)


def test_no_job_is_no_result() -> None:
    assert list(side_by_side(iter(()))) == []
