"""Where the choices of a generated question come from: a seed, or a search for the smallest failure."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Protocol, TypeVar

T = TypeVar("T")


class Draw(Protocol):
    """Makes choices. The simplest ones come first: low numbers, and the first of some options."""

    def integer(self, low: int, high: int) -> int:
        """Return a number of low..high."""
        ...

    def pick(self, options: Sequence[T]) -> T:
        """Return one of some options."""
        ...


class SeededDraw:
    """Choices of a seeded generator; the same ones in every version of Python."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def integer(self, low: int, high: int) -> int:
        return low + int(self._random.random() * (high - low + 1))

    def pick(self, options: Sequence[T]) -> T:
        return options[self.integer(0, len(options) - 1)]
