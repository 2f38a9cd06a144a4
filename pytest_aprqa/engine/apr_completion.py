"""A raw prompt for the server of the `apr` binary, which may answer in a shape of its own."""

from __future__ import annotations

import json
import time

from pytest_aprqa.engine.http import HttpClient
from pytest_aprqa.engine.http_answer import RAW, excerpt, whole_answer
from pytest_aprqa.engine.protocol import Endpoint, EngineError, Fault, Request
from pytest_aprqa.observation import FinishReason, Generation

MODEL = "apr"
"""The name by which the server knows whatever file it has loaded."""

_NO_SUCH_ENDPOINT = (404, 405, 501)
_INFERENCE_FAILED = 500


def complete(endpoint: Endpoint, request: Request, timeout: float) -> Generation | None:
    """Return the server's answer to a raw prompt; None when this version has no such endpoint.

    Raises:
        EngineError: INFERENCE - it could not compute one; PROTOCOL - not an answer; TIMEOUT.
    """
    started = time.monotonic()
    with HttpClient(endpoint) as client:
        status, body = client.ask(request, timeout)
    if status in _NO_SUCH_ENDPOINT:
        return None
    if status == _INFERENCE_FAILED:
        raise EngineError(Fault.INFERENCE, f"apr cannot compute an answer: {excerpt(body)}")
    seconds = time.monotonic() - started
    if own := _own_shape(body, request.max_tokens, seconds):
        return own
    return whole_answer(status, body, chat=False, seconds=seconds)


def finish_at(count: int, limit: int) -> FinishReason:
    """Return why an answer of so many tokens ended, which the binary does not say."""
    return FinishReason.LENGTH if count >= limit else FinishReason.STOP


def _own_shape(body: str, limit: int, seconds: float) -> Generation | None:
    """Read `{"text", "tokens_generated"}`; None when the body is of another shape."""
    try:
        answer = json.loads(body)
    except ValueError:
        return None
    match answer:
        case {"text": str(text), "tokens_generated": int(count)}:
            return Generation(text, finish_at(count, limit), seconds=seconds, raw=body[:RAW])
    return None
