"""The calls of an engine that is somewhere else, in the form in which they travel."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import TypeAdapter
from pydantic_core import to_json

from pytest_aprqa.engine.protocol import Request
from pytest_aprqa.observation import Generation, LayerState, LoadReport, TokenScores
from pytest_aprqa.playbook.check import Message

T = TypeVar("T")

LOAD_REPORT = TypeAdapter(LoadReport)
GENERATION = TypeAdapter(Generation)
GENERATIONS = TypeAdapter(list[Generation])
_SCORES = TypeAdapter(list[TokenScores])
_LAYERS = TypeAdapter(list[LayerState])
_IDS = TypeAdapter(list[list[int]])
_TEXT = TypeAdapter(str)
_TEXTS = TypeAdapter(list[str])


def call_key(method: str, arguments: Mapping[str, Any]) -> bytes:
    """Return what makes a call the same as another: its method and arguments as they travel."""
    return to_json([method, arguments], inf_nan_mode="constants")


class Calls(ABC):
    """The part of an `Engine` that is a call by name, with arguments that JSON can hold."""

    @abstractmethod
    def _call(self, method: str, result: TypeAdapter[T], timeout: float, **arguments: Any) -> T:
        """Return what a call returned, read by `result`. Raises EngineError."""

    def generate(self, requests: Sequence[Request], timeout: float) -> list[Generation]:
        return self._call("generate", GENERATIONS, timeout, requests=list(requests))

    def stream(
        self, request: Request, timeout: float, cancel_after: int | None = None
    ) -> Generation:
        return self._call("stream", GENERATION, timeout, request=request, cancel_after=cancel_after)

    def score(
        self, sequences: Sequence[Sequence[int]], top: int, timeout: float, dtype: str = ""
    ) -> list[TokenScores]:
        ids = [list(sequence) for sequence in sequences]
        return self._call("score", _SCORES, timeout, sequences=ids, top=top, dtype=dtype)

    def trace(self, ids: Sequence[int], timeout: float) -> list[LayerState]:
        return self._call("trace", _LAYERS, timeout, ids=list(ids))

    def tokenize(self, texts: Sequence[str], *, special: bool, timeout: float) -> list[list[int]]:
        return self._call("tokenize", _IDS, timeout, texts=list(texts), special=special)

    def detokenize(self, sequences: Sequence[Sequence[int]], timeout: float) -> list[str]:
        ids = [list(sequence) for sequence in sequences]
        return self._call("detokenize", _TEXTS, timeout, sequences=ids)

    def render(self, messages: Sequence[Message], timeout: float) -> str:
        return self._call("render", _TEXT, timeout, messages=list(messages))
