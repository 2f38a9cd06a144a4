"""What every engine can be asked, and the ways it can fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from pytest_aprqa.observation import Generation, LayerState, LoadReport, TokenScores
from pytest_aprqa.playbook.check import Message

BATCH = 32
"""Most prompts that are worth asking at once: on a CPU torch takes a fifth longer for a step of 32
than for one of 16, and twice as long for one of 64 (`python benchmarks/generation.py`)."""


@dataclass(frozen=True, slots=True)
class Request:
    """One generation to make.

    Attributes:
        prompt: raw text (run), or None when `messages` is given (chat).
        messages: conversation for the chat template; None for a raw prompt.
        max_tokens: most tokens to generate.
        temperature: 0 is greedy.
        seed: of the sampler.
        cache: whether a prompt cache may be used; False in checks that compare.
        parse_special: whether special-token text in the prompt becomes special tokens. False for
            text that comes from a user; a template's own markers are always special.
    """

    prompt: str | None
    messages: tuple[Message, ...] | None = None
    max_tokens: int = 32
    temperature: float = 0.0
    seed: int = 42
    cache: bool = False
    parse_special: bool = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An OpenAI-compatible HTTP server.

    Attributes:
        base_url: up to and without "/v1", for instance "http://127.0.0.1:41234".
        model: the name to send as "model".
        api_key: sent as a bearer token; never printed.
    """

    base_url: str
    model: str
    api_key: str = field(default="", repr=False)


class Fault(StrEnum):
    """Why an engine did not answer."""

    LOAD = "load"
    INFERENCE = "inference"
    CRASH = "crash"
    TIMEOUT = "timeout"
    UNSUPPORTED = "unsupported"
    ENVIRONMENT = "environment"
    PROTOCOL = "protocol"
    GIVEN_UP = "given up"


class EngineError(Exception):
    """An engine could not do what it was asked.

    Attributes:
        fault: LOAD - it refused the file, in its own words; INFERENCE - it loaded the file and says
            that it cannot compute an answer; CRASH - the process died; TIMEOUT - it was killed at its
            limit; UNSUPPORTED - it does not know this architecture or dtype; ENVIRONMENT - no memory,
            no device, missing package; PROTOCOL - it broke its own contract (bad HTTP, malformed
            JSON); GIVEN_UP - it died so often in a row that it is not started again.
        message: one sentence.
        stderr: the last lines the engine wrote, at most 8 KiB.
        signal: name of the signal that ended it ("SIGSEGV"), or "".
    """

    def __init__(self, fault: Fault, message: str, *, stderr: str = "", signal: str = "") -> None:
        super().__init__(message)
        self.fault = fault
        self.message = message
        self.stderr = stderr
        self.signal = signal


class Engine(Protocol):
    """A loaded model, wherever it runs. Every method may raise EngineError."""

    def load(self, timeout: float) -> LoadReport:
        """Load the model, or return the report of the load already made."""
        ...

    def generate(self, requests: Sequence[Request], timeout: float) -> list[Generation]:
        """Answer the requests, as one batch when there are several and the engine can."""
        ...

    def stream(
        self, request: Request, timeout: float, cancel_after: int | None = None
    ) -> Generation:
        """Answer one request token by token, with time to first token.

        `cancel_after` stops the generation after that many tokens (finish CANCELLED).
        """
        ...

    def score(
        self, sequences: Sequence[Sequence[int]], top: int, timeout: float, dtype: str = ""
    ) -> list[TokenScores]:
        """Return teacher-forced log-probabilities of each token sequence, `top` per position.

        `dtype` multiplies in another float type ("bfloat16", "float16") than the engine would; one
        that cannot raises UNSUPPORTED.
        """
        ...

    def trace(self, ids: Sequence[int], timeout: float) -> list[LayerState]:
        """Return what one forward pass over tokens leaves behind each layer, in their order.

        An engine that shows no hidden states raises UNSUPPORTED.
        """
        ...

    def tokenize(self, texts: Sequence[str], *, special: bool, timeout: float) -> list[list[int]]:
        """Encode texts without adding any token; `special` parses special-token text."""
        ...

    def detokenize(self, sequences: Sequence[Sequence[int]], timeout: float) -> list[str]:
        """Decode token sequences, special tokens kept."""
        ...

    def render(self, messages: Sequence[Message], timeout: float) -> str:
        """Apply the chat template with the generation prompt."""
        ...

    def serve(self, timeout: float) -> Endpoint:
        """Start the HTTP server on a free loopback port, once; return where it listens."""
        ...

    def generate_over_http(self, request: Request, timeout: float) -> Generation:
        """Answer one request through the server, whole and streamed, starting it when needed.

        A server whose process died meanwhile is a CRASH, one that does not answer a TIMEOUT.
        """
        ...

    def peak_memory(self) -> int:
        """Return the most bytes of resident memory the engine's processes have held."""
        ...

    def close(self) -> None:
        """End the process and everything it started. Safe to call twice."""
        ...
