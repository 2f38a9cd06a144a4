"""The engine of a sound reference, which is asked the same in one trial after the other."""

from __future__ import annotations

import threading
from typing import Any, TypeVar

from pydantic import TypeAdapter
from pydantic_core import to_json

from pytest_aprqa.engine.calls import Calls
from pytest_aprqa.engine.protocol import Endpoint, Engine, Request
from pytest_aprqa.observation import Generation, LoadReport

T = TypeVar("T")


class RememberingEngine(Calls):
    """An Engine that answers from memory what it was asked before, in the same batch.

    That is sound where the engine is deterministic, as a reference is whose own certification
    asked it twice. What depends on the clock is asked anew: streams, and the server.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: dict[tuple[str, bytes], Any] = {}
        self._asking = threading.Lock()

    def load(self, timeout: float) -> LoadReport:
        return self._engine.load(timeout)

    def stream(
        self, request: Request, timeout: float, cancel_after: int | None = None
    ) -> Generation:
        return self._engine.stream(request, timeout, cancel_after)

    def serve(self, timeout: float) -> Endpoint:
        return self._engine.serve(timeout)

    def generate_over_http(self, request: Request, timeout: float) -> Generation:
        return self._engine.generate_over_http(request, timeout)

    def peak_memory(self) -> int:
        return self._engine.peak_memory()

    def close(self) -> None:
        self._known.clear()
        self._engine.close()

    def _call(self, method: str, result: TypeAdapter[T], timeout: float, **arguments: Any) -> T:
        key = (method, to_json(arguments, inf_nan_mode="constants"))
        with self._asking:
            if key not in self._known:
                self._known[key] = getattr(self._engine, method)(**arguments, timeout=timeout)
        answer: T = self._known[key]
        return answer
