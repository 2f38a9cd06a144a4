"""Reading what OpenAI-compatible servers send, with every departure from the API refused."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

from pytest_aprqa.engine.protocol import EngineError, Fault
from pytest_aprqa.observation import FinishReason, Generation, Usage

RAW = 16 * 1024
"""Bytes of an answer that are kept verbatim."""

_EXCERPT = 500

_FINISH = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "eos": FinishReason.STOP,
    "eos_token": FinishReason.STOP,
}


@dataclass
class StreamedAnswer:
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
            raise protocol_error(f"not a server-sent event: {excerpt(line)}")
        if self.done:
            raise protocol_error(f"an event follows [DONE]: {excerpt(line)}")
        data = data.removeprefix(" ")
        if data == "[DONE]":
            self.done = True
            return
        self._event(json_object(data, 200), data)

    def _event(self, event: dict[str, Any], data: str) -> None:
        if "error" in event:
            raise protocol_error(f"the stream carries an error: {excerpt(data)}")
        self.usage = usage_of(event.get("usage")) or self.usage
        for choice in choices_of(event, data):
            holder, key = (choice.get("delta"), "content") if self.chat else (choice, "text")
            text = text_of(holder, key, data)
            if text:
                self.first_at = self.first_at or time.monotonic()
                self.pieces.append(text)
            if reason := choice.get("finish_reason"):
                self.finish = finish_of(reason, data)

    def require_end(self) -> None:
        """Raise PROTOCOL unless the server said that, and why, the answer ended.

        `transformers serve` never sends [DONE]; what every whole answer has is a finish reason.
        """
        if self.finish is None:
            end = "[DONE] without" if self.done else "the stream broke off before"
            raise protocol_error(f"{end} a finish reason: {excerpt(self.raw[-_EXCERPT:])}")


def whole_answer(status: int, body: str, *, chat: bool, seconds: float) -> Generation:
    """Return what a whole answer says; finish REFUSED with the server's words on a 4xx status."""
    if refusal := refusal_of(status, body):
        return refused(refusal, body, seconds)
    answer = json_object(body, status)
    choices = choices_of(answer, body)
    if not choices:
        raise protocol_error(f"the answer has no choice: {excerpt(body)}")
    choice = choices[0]
    holder, key = (choice.get("message"), "content") if chat else (choice, "text")
    return Generation(
        text=text_of(holder, key, body),
        finish=finish_of(choice.get("finish_reason"), body),
        usage=usage_of(answer.get("usage")),
        seconds=seconds,
        raw=body[:RAW],
    )


def refused(words: str, body: str, seconds: float) -> Generation:
    """Return the answer of a server that declined the request."""
    return Generation(
        text="", finish=FinishReason.REFUSED, refusal=words, seconds=seconds, raw=body[:RAW]
    )


def decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise protocol_error(f"the answer is not UTF-8: {error}") from error


def refusal_of(status: int, body: str) -> str:
    """Return the server's words when it declined the request; raise on other bad statuses."""
    if status == 200:
        return ""
    if status in (400, 413, 422):
        return _words(body)
    raise protocol_error(f"HTTP {status}: {excerpt(body)}")


def _words(body: str) -> str:
    """Return the message inside an error body, or the body's beginning."""
    try:
        error = json.loads(body)
    except ValueError:
        return excerpt(body) or "no reason given"
    found = error.get("error", error.get("detail", error)) if isinstance(error, dict) else error
    if isinstance(found, dict) and isinstance(found.get("message"), str):
        return str(found["message"])
    return found if isinstance(found, str) and found else excerpt(body)


def json_object(body: str, status: int) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError as error:
        raise protocol_error(
            f"HTTP {status} with a body that is no JSON: {excerpt(body)}"
        ) from error
    if not isinstance(answer, dict):
        raise protocol_error(f"HTTP {status} with a body that is no object: {excerpt(body)}")
    return answer


def choices_of(answer: dict[str, Any], body: str) -> list[dict[str, Any]]:
    """Return the choices of an answer or of an event, which may have none."""
    choices = answer.get("choices", [])
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        raise protocol_error(f"choices is no list of objects: {excerpt(body)}")
    return choices


def text_of(holder: object, key: str, body: str) -> str:
    """Return the text under a key; null and nothing are no text, which the API allows."""
    text = holder.get(key) if isinstance(holder, dict) else holder
    if text is not None and not isinstance(text, str):
        raise protocol_error(f"{key} is no text: {excerpt(body)}")
    return text or ""


def usage_of(value: object) -> Usage | None:
    match value:
        case {"prompt_tokens": int(prompt), "completion_tokens": int(completion)}:
            return Usage(prompt_tokens=prompt, completion_tokens=completion)
    return None


def finish_of(reason: object, body: str) -> FinishReason:
    if isinstance(reason, str) and reason in _FINISH:
        return _FINISH[reason]
    raise protocol_error(f"unknown finish reason {reason!r}: {excerpt(body)}")


def excerpt(text: str) -> str:
    return text.strip()[:_EXCERPT]


def protocol_error(message: str) -> EngineError:
    return EngineError(Fault.PROTOCOL, message)
