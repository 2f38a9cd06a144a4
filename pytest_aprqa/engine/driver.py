"""What runs inside an engine's process: a driver, and the words it is started with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from pytest_aprqa.engine.protocol import Endpoint, EngineError, Fault, Request
from pytest_aprqa.observation import Generation, LayerState, LoadReport, TokenScores
from pytest_aprqa.playbook.check import Message
from pytest_aprqa.words import Backend, Format


class DriverName(StrEnum):
    """The engines that can be hosted in a process of their own."""

    TRANSFORMERS = "transformers"
    LLAMA_CPP = "llama.cpp"
    APR_BINARY = "apr"


@dataclass(frozen=True, slots=True)
class DriverConfig:
    """All an engine's process is told when it starts.

    Attributes:
        driver: which engine.
        format: of the weights at `path`.
        path: the directory (SafeTensors) or file (APR, GGUF).
        backend: where to compute.
        threads: compute threads.
        context_length: bound on the context; the model's own limit holds when it is smaller.
        log: the file that the process's standard output and error go to.
        binary: path or name of the `apr` binary, for the driver of that name.
        memory: most bytes the process may allocate; 0 for no bound.
    """

    driver: DriverName
    format: Format
    path: str
    backend: Backend
    threads: int
    context_length: int
    log: str
    binary: str = ""
    memory: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a call failed.

    Attributes:
        fault, message, signal, stderr: as in EngineError.
        fatal: the driver is in an unknown state, so that its process must be ended.
    """

    fault: Fault
    message: str
    signal: str
    fatal: bool
    stderr: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What an engine's process answers to a call.

    Attributes:
        peak_memory: most resident bytes the process has held.
        failure: why the call failed, or None.
        result: what the call returned.
    """

    peak_memory: int
    failure: Failure | None = None
    result: object = None


class Driver(Protocol):
    """The engine's side of `protocol.Engine`: the same calls, without time limits."""

    def load(self) -> LoadReport: ...

    def generate(self, requests: list[Request]) -> list[Generation]: ...

    def stream(self, request: Request, cancel_after: int | None) -> Generation: ...

    def score(self, sequences: list[list[int]], top: int, dtype: str) -> list[TokenScores]: ...

    def trace(self, ids: list[int]) -> list[LayerState]: ...

    def tokenize(self, texts: list[str], special: bool) -> list[list[int]]: ...

    def detokenize(self, sequences: list[list[int]]) -> list[str]: ...

    def render(self, messages: list[Message]) -> str: ...

    def serve(self) -> Endpoint: ...


def refused_context(tokens: int, context_length: int) -> str:
    """Return the words for a prompt that leaves no room to answer in."""
    return f"the prompt has {tokens} tokens, the context holds {context_length}"


def require_context(sequences: Sequence[Sequence[int]], context_length: int) -> None:
    """Raise EngineError (UNSUPPORTED) when a sequence to score does not fit the context."""
    longest = max(map(len, sequences), default=0)
    if longest > context_length:
        raise EngineError(
            Fault.UNSUPPORTED,
            f"a sequence of {longest} tokens does not fit the context of {context_length}",
        )
