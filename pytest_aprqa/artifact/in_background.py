"""Work in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def in_background(name: str, work: Callable[[], T], *, daemon: bool) -> Future[T]:
    """Begin work in a thread; what it raises is met by whoever asks for the result.

    Args:
        name: of the thread.
        work: to carry out.
        daemon: the end of the process does not wait for it.
    """
    done: Future[T] = Future()

    def carry_out() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001  # it is not lost
            done.set_exception(error)

    Thread(target=carry_out, name=name, daemon=daemon).start()
    return done
