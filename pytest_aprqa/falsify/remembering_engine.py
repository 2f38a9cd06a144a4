"""The engine of a sound reference, which is asked the same in one trial after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pytest_aprqa.engine.calls import call_key
from pytest_aprqa.engine.protocol import Engine, Request
from pytest_aprqa.falsify.forwarding_engine import ForwardingEngine
from pytest_aprqa.observation import Generation, TokenScores

T = TypeVar("T")


class RememberingEngine(ForwardingEngine):
    """An Engine that gives the greedy answers and the scores it was asked for before from memory.

    Good enough to compare others with; what is itself certified is asked anew, by `engine`.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._known: dict[bytes, Any] = {}
        self._asking = threading.Lock()

    def generate(self, requests: Sequence[Request], timeout: float) -> list[Generation]:
        if any(request.temperature > 0 for request in requests):
            return super().generate(requests, timeout)
        key = call_key("generate", {"requests": requests})
        return self._remembered(key, lambda: self.engine.generate(requests, timeout))

    def score(
        self, sequences: Sequence[Sequence[int]], top: int, timeout: float, dtype: str = ""
    ) -> list[TokenScores]:
        key = call_key("score", {"sequences": sequences, "top": top, "dtype": dtype})
        return self._remembered(key, lambda: self.engine.score(sequences, top, timeout, dtype))

    def _remembered(self, key: bytes, ask: Callable[[], T]) -> T:
        with self._asking:
            if key not in self._known:
                self._known[key] = ask()
            known: T = self._known[key]
            return known
