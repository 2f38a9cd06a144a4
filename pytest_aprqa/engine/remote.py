"""Any OpenAI-compatible server as an Engine: it is asked, never looked into."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

from pytest_aprqa.engine.http import HttpClient, serve_generate
from pytest_aprqa.engine.protocol import Endpoint, EngineError, Fault, Request
from pytest_aprqa.observation import FinishReason, Generation, LayerState, LoadReport, TokenScores
from pytest_aprqa.playbook.check import Message

_HELLO = Request(None, messages=(Message("user", "Hello"),), max_tokens=1)


def endpoint_at(address: str, model: str, api_key: str = "") -> Endpoint:
    """Return a server by the address that people give, with or without `/v1` at its end."""
    return Endpoint(address.rstrip("/").removesuffix("/v1"), model, api_key)


def address_fault(address: str) -> str:
    """Say why an address cannot be that of a server, or return an empty string."""
    try:
        parts = urlsplit(address)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number, a bracket that is not closed
        valid = False
    if valid and not any(map(str.isspace, address)):
        return ""
    return f"{address!r} is no address of a server; give one like http://127.0.0.1:8080/v1"


class RemoteEngine:
    """A server somebody else runs. It tells no token ids, no log-probabilities and no memory."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._report: LoadReport | None = None

    @property
    def name(self) -> str:
        """The server and its model, for reports."""
        return f"{self._endpoint.base_url}, model {self._endpoint.model!r}"

    def load(self, timeout: float) -> LoadReport:
        """Learn whether the server is there, and whether it chats, by asking for one token."""
        if self._report is None:
            started = time.monotonic()
            with self._client() as client:
                answer = client.generate(_HELLO, timeout)
            self._report = LoadReport(
                engine=self.name,
                device="remote",
                dtype="unknown",
                vocab_size=0,
                context_length=0,
                has_chat_template=answer.finish is not FinishReason.REFUSED,
                seconds=time.monotonic() - started,
                threads=0,
            )
        return self._report

    def generate(self, requests: Sequence[Request], timeout: float) -> list[Generation]:
        deadline = time.monotonic() + timeout
        with self._client() as client:
            return [client.generate(request, deadline - time.monotonic()) for request in requests]

    def stream(
        self, request: Request, timeout: float, cancel_after: int | None = None
    ) -> Generation:
        """Answer one request from a stream; `cancel_after` counts the pieces the server sends."""
        with self._client() as client:
            return client.stream(request, timeout, cancel_after)

    def score(
        self, sequences: Sequence[Sequence[int]], top: int, timeout: float, dtype: str = ""
    ) -> list[TokenScores]:
        raise _not_told("log-probabilities")

    def trace(self, ids: Sequence[int], timeout: float) -> list[LayerState]:
        raise _not_told("hidden states")

    def tokenize(self, texts: Sequence[str], *, special: bool, timeout: float) -> list[list[int]]:
        raise _not_told("tokens")

    def detokenize(self, sequences: Sequence[Sequence[int]], timeout: float) -> list[str]:
        raise _not_told("tokens")

    def render(self, messages: Sequence[Message], timeout: float) -> str:
        raise _not_told("the chat template")

    def serve(self, timeout: float) -> Endpoint:
        return self._endpoint

    def generate_over_http(self, request: Request, timeout: float) -> Generation:
        with self._reached():
            return serve_generate(self._endpoint, request, timeout)

    def peak_memory(self) -> int:
        return 0

    def close(self) -> None:
        """Do nothing: the server is not ours."""

    @contextmanager
    def _client(self) -> Iterator[HttpClient]:
        with self._reached(), HttpClient(self._endpoint) as client:
            yield client

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Say that nobody is there when so it is: a server not reached broke no contract."""
        import httpx

        try:
            yield
        except EngineError as error:
            if not isinstance(error.__cause__, httpx.ConnectError | httpx.ConnectTimeout):
                raise
            where = self._endpoint.base_url
            raise EngineError(
                Fault.ENVIRONMENT, f"the server {where} is not reached: {error.message}"
            ) from error


def _not_told(what: str) -> EngineError:
    return EngineError(Fault.UNSUPPORTED, f"an OpenAI-compatible server does not tell {what}")
