"""The engines of one laboratory, kept loaded while memory lasts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_aprqa.engine.memory import machine_memory
from pytest_aprqa.engine.protocol import Engine
from pytest_aprqa.words import Cell

FEWEST = 2
"""Engines that may always stay: a comparison asks two by turns."""

SHARE = 0.75
"""Of the machine's memory that the engines of all laboratories may hold together."""

RUNTIME = 1 << 30
"""Bytes an engine takes before it has weights: torch and transformers alone take 0.7 GiB."""

HEADROOM = 1.25
"""Bytes in use per byte of weights: keys and values, activations, the file's cached pages."""


@dataclass(slots=True)
class _Warm:
    engine: Engine
    needs: int

    @property
    def bytes(self) -> int:
        """Its measured peak once it has loaded, till then what it is expected to need."""
        return self.engine.peak_memory() or self.needs


class WarmEngines:
    """Engines by artifact and backend; the one unused for longest goes first when memory is short."""

    def __init__(self, laboratories: int = 1, budget: int | None = None) -> None:
        """Keep no engine yet.

        Args:
            laboratories: how many share the machine.
            budget: bytes the engines may hold together; None for a share of the machine's memory.
        """
        self._budget = int(SHARE * machine_memory() / laboratories) if budget is None else budget
        self._warm: OrderedDict[Cell, _Warm] = OrderedDict()

    def get(self, key: Cell, files: Iterable[Path], make: Callable[[], Engine]) -> Engine:
        """Return the engine of a key, made when there is none.

        Args:
            key: of the engine.
            files: that it loads.
            make: called when there is no such engine; it may raise.
        """
        if key not in self._warm:
            needs = memory_needed(_size(files))
            self._make_room(needs)
            self._warm[key] = _Warm(make(), needs)
        self._warm.move_to_end(key)
        return self._warm[key].engine

    def __iter__(self) -> Iterator[Cell]:
        return iter(self._warm)

    def close(self) -> None:
        """End every engine."""
        while self._warm:
            self._close_oldest()

    def _make_room(self, needs: int) -> None:
        while len(self._warm) >= FEWEST and self._held() + needs > self._budget:
            self._close_oldest()

    def _held(self) -> int:
        return sum(warm.bytes for warm in self._warm.values())

    def _close_oldest(self) -> None:
        _, oldest = self._warm.popitem(last=False)
        oldest.engine.close()


def _size(files: Iterable[Path]) -> int:
    """Return how many bytes files have; what is gone is for the engine to find."""
    return sum(path.stat().st_size for path in files if path.exists())


def memory_needed(weights: int) -> int:
    """Return the bytes an engine needs for weights of a size on disk."""
    return int(HEADROOM * weights) + RUNTIME
