"""The native HTTP interface of llama.cpp's server, as the driver beside it uses it."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

from pytest_aprqa.engine.protocol import EngineError, Fault

_TEMPLATE_SAYS = "Jinja Exception:"
"""What a template raises comes with status 500, at the end of a picture of where it stands."""


class RefusalError(Exception):
    """The server declined a request; the words are its own."""


class LlamaCppHttp:
    """Calls to one server. Safe to use from several threads."""

    def __init__(self, base_url: str, api_key: str) -> None:
        import httpx

        # The server closes connections behind streamed answers, so none is kept for a second call.
        self._client = httpx.Client(
            base_url=base_url,
            headers={"Authorization": f"Bearer {api_key}"},
            trust_env=False,
            timeout=None,
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def get(self, path: str) -> Any:
        response = self._client.get(path)
        return _answer(path, response.status_code, response.text)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Return the decoded answer.

        Raises:
            RefusalError: the server says the request is at fault.
            EngineError: PROTOCOL for any other failure.
        """
        response = self._client.post(path, json=body)
        return _answer(path, response.status_code, response.text)

    def events(self, path: str, body: dict[str, Any]) -> Generator[dict[str, Any]]:
        """Yield the events of a streamed answer; closing the iterator cancels the generation."""
        with self._client.stream("POST", path, json={**body, "stream": True}) as response:
            if response.status_code != 200:
                _answer(path, response.status_code, response.read().decode())
            for line in response.iter_lines():
                if line.startswith("data: ") and line != "data: [DONE]":
                    event = json.loads(line.removeprefix("data: "))
                    if "error" in event:
                        raise EngineError(Fault.PROTOCOL, f"{path}: {event['error']}")
                    yield event


def _answer(path: str, status: int, text: str) -> Any:
    try:
        answer = json.loads(text)
    except ValueError as error:
        raise EngineError(Fault.PROTOCOL, f"{path}: HTTP {status}: {text[:500]}") from error
    if status == 200:
        return answer
    words = answer["error"]["message"]
    if status == 400:
        raise RefusalError(words)
    if _TEMPLATE_SAYS in words:
        raise RefusalError(words.rpartition(_TEMPLATE_SAYS)[2].strip())
    raise EngineError(Fault.PROTOCOL, f"{path}: HTTP {status}: {words}")
