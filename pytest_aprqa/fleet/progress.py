"""How far a fleet has come, for whoever waits."""

from __future__ import annotations

import time
from collections.abc import Callable

from pytest_aprqa.fleet.report import ModelResult
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.words import Cell

INTERVAL = 30.0
"""Seconds between two lines about the whole."""


class Progress:
    """Says what happens, line by line, so that it reads the same on a terminal and in a log."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._models = self._checks = 0
        self._concluded = self._done = self._failed = 0
        self._begun = self._said = time.monotonic()

    def starts(self, *, models: int, checks: int, shards: int, machines: int) -> None:
        """Say what the fleet sets out to do."""
        self._models, self._checks = models, checks
        self._say(
            f"{_count(models, 'model')}, {_count(checks, 'check')} to run in "
            f"{_count(shards, 'shard')} on {_count(machines, 'machine')}"
        )

    def recorded(self, evidence: Evidence) -> None:
        """Count a record."""
        self._failed += evidence.outcome.fails
        self._count(1)

    def set_aside(self, count: int) -> None:
        """Count checks that no machine could carry out."""
        self._count(count)

    def lost(self, model_id: str, group: Cell, error: Exception) -> None:
        """Say that a worker or its machine died."""
        self._say(
            f"{model_id} {group}: lost its worker ({type(error).__name__}); "
            "what has no evidence runs again"
        )

    def concluded(self, result: ModelResult) -> None:
        """Say how a model's run ended."""
        self._concluded += 1
        self._say(f"[{self._concluded}/{self._models}] {result}")

    def _count(self, count: int) -> None:
        self._done += count
        now = time.monotonic()
        if now - self._said >= INTERVAL:
            self._said = now
            rate = self._done / (now - self._begun)
            left = max(self._checks - self._done, 0) / rate
            self._say(
                f"{self._done} of {self._checks} checks done, {self._failed} failed, "
                f"{rate:.1f} a second, about {left / 60:.0f} min left"
            )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
