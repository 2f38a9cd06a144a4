"""Work on large data by several threads, in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_MOST_THREADS = 8
"""A few threads already read as fast as memory delivers."""

_WAITING = 2
"""Jobs made ahead for each thread; the data of more would leave memory again before their turn."""


def side_by_side(jobs: Iterable[Callable[[], T]]) -> Iterator[T]:
    """Carry out jobs by threads and yield what each returns, in order.

    Worth it for work that lets other threads run, as that of numpy does. Jobs are made by the
    thread that asks for results, one after the other and a few ahead: where that brings the data
    of each, the disk is read in order while threads compute.
    """
    waiting: deque[Future[T]] = deque()
    threads = min(_MOST_THREADS, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads, thread_name_prefix="side-by-side") as pool:
        for job in jobs:
            waiting.append(pool.submit(job))
            if len(waiting) > _WAITING * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
