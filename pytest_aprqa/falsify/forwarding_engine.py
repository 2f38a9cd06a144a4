"""An engine around another one, to derive from."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_aprqa.engine.protocol import Endpoint, Engine, Request
from pytest_aprqa.observation import Generation, LayerState, LoadReport, TokenScores
from pytest_aprqa.playbook.check import Message


class ForwardingEngine:
    """An Engine that passes every call on to another engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def load(self, timeout: float) -> LoadReport:
        return self.engine.load(timeout)

    def generate(self, requests: Sequence[Request], timeout: float) -> list[Generation]:
        return self.engine.generate(requests, timeout)

    def stream(
        self, request: Request, timeout: float, cancel_after: int | None = None
    ) -> Generation:
        return self.engine.stream(request, timeout, cancel_after)

    def score(
        self, sequences: Sequence[Sequence[int]], top: int, timeout: float, dtype: str = ""
    ) -> list[TokenScores]:
        return self.engine.score(sequences, top, timeout, dtype)

    def trace(self, ids: Sequence[int], timeout: float) -> list[LayerState]:
        return self.engine.trace(ids, timeout)

    def tokenize(self, texts: Sequence[str], *, special: bool, timeout: float) -> list[list[int]]:
        return self.engine.tokenize(texts, special=special, timeout=timeout)

    def detokenize(self, sequences: Sequence[Sequence[int]], timeout: float) -> list[str]:
        return self.engine.detokenize(sequences, timeout)

    def render(self, messages: Sequence[Message], timeout: float) -> str:
        return self.engine.render(messages, timeout)

    def serve(self, timeout: float) -> Endpoint:
        return self.engine.serve(timeout)

    def generate_over_http(self, request: Request, timeout: float) -> Generation:
        return self.engine.generate_over_http(request, timeout)

    def peak_memory(self) -> int:
        return self.engine.peak_memory()

    def close(self) -> None:
        self.engine.close()
