"""A strict client of OpenAI-compatible servers: completions and chat, streamed and not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from pytest_aprqa.engine.faults import has_no_way
from pytest_aprqa.engine.http_answer import (
    RAW,
    StreamedAnswer,
    decoded,
    excerpt,
    protocol_error,
    refusal_of,
    refused,
    whole_answer,
)
from pytest_aprqa.engine.protocol import Endpoint, EngineError, Fault, Request
from pytest_aprqa.observation import FinishReason, Generation

if TYPE_CHECKING:
    import httpx

MAX_BODY = 16 * 1024 * 1024
"""Most bytes of an answer that are read."""


def serve_generate(endpoint: Endpoint, request: Request, timeout: float) -> Generation:
    """Answer a request over HTTP twice, whole and streamed, within `timeout` seconds together.

    `text`, `usage`, `finish` and `seconds` are those of the whole answer; `streamed_text`,
    `streamed_usage` and `seconds_to_first_token` those of the streamed one.

    Raises:
        EngineError: PROTOCOL - not an answer as the API defines it; TIMEOUT; ENVIRONMENT - this
            machine has no network to reach even itself.
    """
    deadline = time.monotonic() + timeout
    with HttpClient(endpoint) as client:
        whole = client.generate(request, timeout)
        if whole.finish is FinishReason.REFUSED:
            return whole
        streamed = client.stream(request, deadline - time.monotonic())
    return replace(
        whole,
        streamed_text=streamed.streamed_text,
        streamed_usage=streamed.streamed_usage,
        seconds_to_first_token=streamed.seconds_to_first_token,
        raw=(whole.raw[: RAW // 2] + "\n" + streamed.raw)[:RAW],
    )


class HttpClient:
    """One server. Connections are not reused: servers drop them, and a drop is not a fault."""

    def __init__(self, endpoint: Endpoint) -> None:
        import httpx

        self._endpoint = endpoint
        headers = {"Authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
        self._client = httpx.Client(
            base_url=endpoint.base_url,
            headers=headers,
            trust_env=False,
            follow_redirects=False,
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def generate(self, request: Request, timeout: float) -> Generation:
        """Return the whole answer; finish REFUSED with the server's words on a 4xx status."""
        started = time.monotonic()
        status, body = self.ask(request, timeout)
        return whole_answer(
            status, body, chat=request.messages is not None, seconds=time.monotonic() - started
        )

    def ask(self, request: Request, timeout: float) -> tuple[int, str]:
        """Return the status and the body of the whole answer, whatever they are."""
        deadline = time.monotonic() + timeout
        with self._post(request, stream=False, deadline=deadline) as response:
            return response.status_code, _read(response, deadline)

    def stream(
        self, request: Request, timeout: float, cancel_after: int | None = None
    ) -> Generation:
        """Return the answer put together from a stream; `cancel_after` counts pieces of text."""
        started = time.monotonic()
        deadline = started + timeout
        stream = StreamedAnswer(chat=request.messages is not None)
        with self._post(request, stream=True, deadline=deadline) as response:
            if response.status_code != 200:
                body = _read(response, deadline)
                if refusal := refusal_of(response.status_code, body):
                    return refused(refusal, body, time.monotonic() - started)
            for line in _lines(response, deadline):
                stream.take(line)
                if cancel_after is not None and len(stream.pieces) >= cancel_after:
                    stream.finish = FinishReason.CANCELLED
                    break
        stream.require_end()
        first = stream.first_at
        return Generation(
            text="".join(stream.pieces),
            streamed_text="".join(stream.pieces),
            finish=stream.finish or FinishReason.STOP,
            usage=stream.usage,
            streamed_usage=stream.usage,
            seconds=time.monotonic() - started,
            seconds_to_first_token=None if first is None else first - started,
            raw=stream.raw[:RAW],
        )

    @contextmanager
    def _post(self, request: Request, *, stream: bool, deadline: float) -> Iterator[httpx.Response]:
        import httpx

        path = "/v1/chat/completions" if request.messages is not None else "/v1/completions"
        try:
            with self._client.stream(
                "POST", path, json=self._body(request, stream), timeout=_left(deadline)
            ) as response:
                yield response
        except httpx.TimeoutException as error:
            raise EngineError(Fault.TIMEOUT, f"{path} did not answer in time") from error
        except httpx.HTTPError as error:
            if has_no_way(error):
                where = self._endpoint.base_url
                message = f"this machine has no way to {where}: {error}; is the interface up?"
                raise EngineError(Fault.ENVIRONMENT, message) from error
            raise protocol_error(f"{path}: {type(error).__name__}: {error}") from error

    def _body(self, request: Request, stream: bool) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._endpoint.model,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "seed": request.seed,
            "stream": stream,
        }
        if stream:
            body["stream_options"] = {"include_usage": True}
        if request.messages is None:
            return {**body, "prompt": request.prompt or ""}
        turns = [{"role": turn.role, "content": turn.content} for turn in request.messages]
        return {**body, "messages": turns}


def _lines(response: httpx.Response, deadline: float) -> Iterator[str]:
    """Yield the lines of a body as they come, all terminated by a newline."""
    pending, size = b"", 0
    for chunk in response.iter_bytes():
        size += len(chunk)
        _left(deadline)
        if size > MAX_BODY:
            raise protocol_error(f"the answer is over {MAX_BODY} bytes")
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            yield decoded(line).removesuffix("\r")
    if pending:
        raise protocol_error(f"the stream ends inside a line: {excerpt(decoded(pending))}")


def _read(response: httpx.Response, deadline: float) -> str:
    body = bytearray()
    for chunk in response.iter_bytes():
        _left(deadline)
        body += chunk
        if len(body) > MAX_BODY:
            raise protocol_error(f"the answer is over {MAX_BODY} bytes")
    return decoded(bytes(body))


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise EngineError(Fault.TIMEOUT, "the server did not answer in time")
    return left
