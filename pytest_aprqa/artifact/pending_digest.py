"""A digest that is still being computed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread


def in_background(name: str, work: Callable[[], str]) -> Future[str]:
    """Begin work in a thread that the end of the process does not wait for."""
    done: Future[str] = Future()

    def carry_out() -> None:
        try:
            done.set_result(work())
        except Exception as error:  # noqa: BLE001  # whoever waits gets it
            done.set_exception(error)

    Thread(target=carry_out, name=name, daemon=True).start()
    return done


class PendingDigest:
    """A digest that is waited for when its text is asked for.

    It equals every digest of the same text, and to another process it goes as its text.
    """

    def __init__(self, future: Future[str]) -> None:
        self._future = future

    def __str__(self) -> str:
        """Return the digest, or raise what computing it has raised."""
        return self._future.result()

    def __repr__(self) -> str:
        return repr(str(self)) if self._future.done() else "<pending>"

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other) if isinstance(other, str | PendingDigest) else NotImplemented

    def __hash__(self) -> int:
        return hash(str(self))

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)

    def then(self, follow: Callable[[], None]) -> None:
        """Call a function once the digest is known, or cannot be."""
        self._future.add_done_callback(lambda _: follow())
