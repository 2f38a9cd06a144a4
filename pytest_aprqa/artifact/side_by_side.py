"""Work on large data by several threads, in order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")

_MOST_THREADS = 8
"""A few threads already read as fast as memory delivers."""


def side_by_side(jobs: Iterable[Callable[[], T]]) -> list[T]:
    """Carry out jobs by threads and return what each returns, in order.

    Worth it for work that lets other threads run, as that of numpy does. A thread that is free
    makes the next job, one at a time and in order: where that brings the data of the job, the disk
    is read in order while other threads compute. The first job that raises ends it.
    """
    queue = _Queue(jobs)
    threads = min(_MOST_THREADS, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads, thread_name_prefix="side-by-side") as pool:
        workers = [pool.submit(queue.work) for _ in range(threads)]
        try:
            wait(workers)
        finally:
            queue.end()
        return queue.results(workers)


class _Queue(Generic[T]):
    """Jobs that several threads take, and what became of them by number."""

    def __init__(self, jobs: Iterable[Callable[[], T]]) -> None:
        self._jobs = enumerate(jobs)
        self._lock = Lock()
        self._ended = False
        self._done: dict[int, T] = {}
        self._raised: dict[int, BaseException] = {}

    def work(self) -> None:
        while (taken := self._next()) is not None:
            number, job = taken
            try:
                self._done[number] = job()
            except BaseException as error:
                self._raised[number] = error
                self.end()
                raise

    def _next(self) -> tuple[int, Callable[[], T]] | None:
        with self._lock:
            return None if self._ended else next(self._jobs, None)

    def end(self) -> None:
        self._ended = True

    def results(self, workers: Iterable[Future[None]]) -> list[T]:
        if self._raised:
            raise self._raised[min(self._raised)]
        for worker in workers:
            worker.result()  # raises what making a job has raised
        return [self._done[number] for number in sorted(self._done)]
