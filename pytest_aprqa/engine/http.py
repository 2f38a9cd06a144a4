"""A strict client of OpenAI-compatible servers: completions and chat, streamed and not."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from pytest_aprqa.engine.protocol import Endpoint, EngineError, Fault, Request
from pytest_aprqa.observation import FinishReason, Generation, Usage

if TYPE_CHECKING:
    import httpx

MAX_BODY = 16 * 1024 * 1024
"""Most bytes of an answer that are read."""

RAW = 16 * 1024
"""Bytes of an answer that are kept verbatim."""

_EXCERPT = 500

_FINISH = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "eos": FinishReason.STOP,
    "eos_token": FinishReason.STOP,
}


def serve_generate(endpoint: Endpoint, request: Request, timeout: float) -> Generation:
    """Answer a request over HTTP twice, whole and streamed, within `timeout` seconds together.

    `text`, `usage`, `finish` and `seconds` are those of the whole answer; `streamed_text`,
    `streamed_usage` and `seconds_to_first_token` those of the streamed one.

    Raises:
        EngineError: PROTOCOL - not an answer as the API defines it; TIMEOUT.
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
        with self._post(request, stream=False, deadline=started + timeout) as response:
            body = _read(response, started + timeout)
        if refusal := _refusal(response.status_code, body):
            return _refused(refusal, body, started)
        answer = _json(body, response.status_code)
        choice = _first_choice(answer, body)
        chat = request.messages is not None
        text = (choice.get("message") or {}).get("content") if chat else choice.get("text")
        if not isinstance(text, str):
            raise _protocol(f"the answer has no text: {_excerpt(body)}")
        return Generation(
            text=text,
            finish=_finish(choice.get("finish_reason"), body),
            usage=_usage(answer.get("usage")),
            seconds=time.monotonic() - started,
            raw=body[:RAW],
        )

    def stream(
        self, request: Request, timeout: float, cancel_after: int | None = None
    ) -> Generation:
        """Return the answer put together from a stream; `cancel_after` counts pieces of text."""
        started = time.monotonic()
        deadline = started + timeout
        stream = _Stream(chat=request.messages is not None)
        with self._post(request, stream=True, deadline=deadline) as response:
            if response.status_code != 200:
                body = _read(response, deadline)
                if refusal := _refusal(response.status_code, body):
                    return _refused(refusal, body, started)
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
            raise _protocol(f"{path}: {type(error).__name__}: {error}") from error

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


@dataclass
class _Stream:
    """The state of a streamed answer while its events come in."""

    chat: bool
    pieces: list[str] = field(default_factory=list)
    finish: FinishReason | None = None
    usage: Usage | None = None
    done: bool = False
    first_at: float | None = None
    raw: str = ""

    def take(self, line: str) -> None:
        """Take one line of server-sent events."""
        if len(self.raw) < RAW:
            self.raw += line + "\n"
        if not line or line.startswith(":"):
            return
        name, _, data = line.partition(":")
        if name in ("event", "id", "retry"):
            return
        if name != "data":
            raise _protocol(f"not a server-sent event: {_excerpt(line)}")
        if self.done:
            raise _protocol(f"an event follows [DONE]: {_excerpt(line)}")
        data = data.removeprefix(" ")
        if data == "[DONE]":
            self.done = True
            return
        self._event(_json(data, 200), data)

    def _event(self, event: dict[str, Any], data: str) -> None:
        if "error" in event:
            raise _protocol(f"the stream carries an error: {_excerpt(data)}")
        self.usage = _usage(event.get("usage")) or self.usage
        for choice in event.get("choices") or ():
            text = (choice.get("delta") or {}).get("content") if self.chat else choice.get("text")
            if text:
                self.first_at = self.first_at or time.monotonic()
                self.pieces.append(text)
            if reason := choice.get("finish_reason"):
                self.finish = _finish(reason, data)

    def require_end(self) -> None:
        """Raise PROTOCOL unless the server said that, and why, the answer ended.

        `transformers serve` never sends [DONE]; what every whole answer has is a finish reason.
        """
        if self.finish is None:
            end = "[DONE] without" if self.done else "the stream broke off before"
            raise _protocol(f"{end} a finish reason: {_excerpt(self.raw[-_EXCERPT:])}")


def _lines(response: httpx.Response, deadline: float) -> Iterator[str]:
    """Yield the lines of a body as they come, all terminated by a newline."""
    pending, size = b"", 0
    for chunk in response.iter_bytes():
        size += len(chunk)
        _left(deadline)
        if size > MAX_BODY:
            raise _protocol(f"the answer is over {MAX_BODY} bytes")
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            yield _text(line).removesuffix("\r")
    if pending:
        raise _protocol(f"the stream ends inside a line: {_excerpt(_text(pending))}")


def _read(response: httpx.Response, deadline: float) -> str:
    body = bytearray()
    for chunk in response.iter_bytes():
        _left(deadline)
        body += chunk
        if len(body) > MAX_BODY:
            raise _protocol(f"the answer is over {MAX_BODY} bytes")
    return _text(bytes(body))


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _protocol(f"the answer is not UTF-8: {error}") from error


def _refusal(status: int, body: str) -> str:
    """Return the server's words when it declined the request; raise on other bad statuses."""
    if status == 200:
        return ""
    if status in (400, 413, 422):
        return _words(body)
    raise _protocol(f"HTTP {status}: {_excerpt(body)}")


def _words(body: str) -> str:
    """Return the message inside an error body, or the body's beginning."""
    try:
        error = json.loads(body)
    except ValueError:
        return _excerpt(body) or "no reason given"
    found = error.get("error", error.get("detail", error)) if isinstance(error, dict) else error
    if isinstance(found, dict) and isinstance(found.get("message"), str):
        return str(found["message"])
    return found if isinstance(found, str) and found else _excerpt(body)


def _refused(words: str, body: str, started: float) -> Generation:
    return Generation(
        text="",
        finish=FinishReason.REFUSED,
        refusal=words,
        seconds=time.monotonic() - started,
        raw=body[:RAW],
    )


def _json(body: str, status: int) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError as error:
        raise _protocol(f"HTTP {status} with a body that is no JSON: {_excerpt(body)}") from error
    if not isinstance(answer, dict):
        raise _protocol(f"HTTP {status} with a body that is no object: {_excerpt(body)}")
    return answer


def _first_choice(answer: dict[str, Any], body: str) -> dict[str, Any]:
    match answer.get("choices"):
        case [{"message": dict()} as choice, *_] | [{"text": str()} as choice, *_]:
            return dict(choice)
    raise _protocol(f"the answer has no choice: {_excerpt(body)}")


def _usage(value: object) -> Usage | None:
    match value:
        case {"prompt_tokens": int(prompt), "completion_tokens": int(completion)}:
            return Usage(prompt_tokens=prompt, completion_tokens=completion)
    return None


def _finish(reason: object, body: str) -> FinishReason:
    if isinstance(reason, str) and reason in _FINISH:
        return _FINISH[reason]
    raise _protocol(f"unknown finish reason {reason!r}: {_excerpt(body)}")


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise EngineError(Fault.TIMEOUT, "the server did not answer in time")
    return left


def _excerpt(text: str) -> str:
    return text.strip()[:_EXCERPT]


def _protocol(message: str) -> EngineError:
    return EngineError(Fault.PROTOCOL, message)
