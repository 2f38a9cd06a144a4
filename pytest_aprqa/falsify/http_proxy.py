"""An HTTP proxy in front of an engine's real server, which spoils what passes through it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from pytest_aprqa.engine.protocol import Endpoint

if TYPE_CHECKING:
    import httpx

Json = dict[str, Any]


def _as_it_is(content: Json) -> Json:
    return content


def _granted(number: int) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Meddling:
    """What a proxy does to the traffic.

    Attributes:
        request: to the body of every request.
        answer: to every whole answer.
        event: to every event of a streamed answer.
        grants: whether the request of this number, from 1 on, is passed on; else it gets HTTP 500.
        path: to the path of every request.
    """

    request: Callable[[Json], Json] = _as_it_is
    answer: Callable[[Json], Json] = _as_it_is
    event: Callable[[Json], Json] = _as_it_is
    grants: Callable[[int], bool] = _granted
    path: Callable[[str], str] = str


class Proxy:
    """A server on a free loopback port that passes everything on to another one, spoilt."""

    def __init__(self, target: Endpoint, meddling: Meddling) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(target, meddling))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        port = self._server.server_address[1]
        self.endpoint = Endpoint(f"http://127.0.0.1:{port}", target.model, target.api_key)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(target: Endpoint, meddling: Meddling) -> type[BaseHTTPRequestHandler]:
    import httpx

    count = 0

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            nonlocal count
            count += 1
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if not meddling.grants(count):
                self._send(500, "application/json", b'{"error": "out of order"}')
                return
            headers = {"Authorization": self.headers.get("Authorization", "")}
            answer = httpx.post(
                target.base_url + meddling.path(self.path),
                json=meddling.request(body),
                headers={name: value for name, value in headers.items() if value},
                timeout=60,
                trust_env=False,
            )
            kind = answer.headers.get("Content-Type", "application/json")
            self._send(answer.status_code, kind, _spoilt(answer, meddling))

        def log_message(self, *_: object) -> None:
            """Say nothing: standard error belongs to the command."""

        def _send(self, status: int, kind: str, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Handler


def _spoilt(answer: httpx.Response, meddling: Meddling) -> bytes:
    if answer.status_code != 200:
        return answer.content
    if "event-stream" not in answer.headers.get("Content-Type", ""):
        return json.dumps(meddling.answer(answer.json())).encode()
    lines = [_spoilt_line(line, meddling) for line in answer.text.split("\n")]
    return "\n".join(lines).encode()


def _spoilt_line(line: str, meddling: Meddling) -> str:
    data = line.removeprefix("data:").strip()
    if not line.startswith("data:") or data == "[DONE]":
        return line
    return f"data: {json.dumps(meddling.event(json.loads(data)))}"
