"""A digest of what is still being hashed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property


class PendingDigest:
    """A digest that is waited for when its text is asked for.

    It equals every digest of the same text, and to another process it goes as its text.
    """

    def __init__(self, wait: Callable[[], str]) -> None:
        """Make one.

        Args:
            wait: returns the digest when it is there, or raises what has kept it from being.
        """
        self._wait = wait

    @cached_property
    def _text(self) -> str:
        return self._wait()

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return repr(self._text) if "_text" in vars(self) else "<pending>"

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other) if isinstance(other, str | PendingDigest) else NotImplemented

    def __hash__(self) -> int:
        return hash(str(self))

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)
