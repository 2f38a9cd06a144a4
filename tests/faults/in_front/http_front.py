"""A server in front of the engine's own, which breaks HTTP where a question asks for it."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from typing import Any

import httpx
from marks import die_of, hang, marked

from pytest_aprqa.engine.protocol import Endpoint

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
_EVENT = b'data: {"choices": [{"delta": {"content": "a"}, "text": "a"}]}\n\n'
_LONG_EVENT = _EVENT.replace(b'"a"', b'"' + b"a" * 2000 + b'"')
"""Long, so that the limit of bytes is met before the one of time, on a busy machine too."""


def start_front(target: Endpoint) -> Endpoint:
    """Listen on a free loopback port, pass everything on, and return where."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(target))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return Endpoint(f"http://127.0.0.1:{server.server_address[1]}", target.model, target.api_key)


def _drip(end: socket.socket) -> None:
    end.sendall(_HEAD + b"\r\n{")
    while True:
        time.sleep(0.1)
        end.sendall(b" ")


def _endless(end: socket.socket) -> None:
    end.sendall(_HEAD + b"\r\n")
    for chunk in repeat(b" " * (1 << 20)):
        end.sendall(chunk)


def _endless_events(end: socket.socket) -> None:
    end.sendall(_HEAD + b"\r\n")
    for chunk in repeat(_LONG_EVENT * 64):
        end.sendall(chunk)


def _half_closed(end: socket.socket) -> None:
    end.sendall(_HEAD + b"\r\n" + _EVENT * 2)
    end.shutdown(socket.SHUT_WR)
    time.sleep(0.2)


_REFUSED = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 7\r\n\r\nno\x1b[2J!"
_ELSEWHERE = b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n"

INSTEAD: dict[str, Callable[[socket.socket], object]] = {
    "http-500": lambda end: end.sendall(_REFUSED),
    "http-cut": lambda end: end.sendall(_HEAD + b"Content-Length: 99\r\n\r\n{"),
    "http-drips": _drip,
    "http-endless": _endless,
    "http-hang": lambda end: hang(),
    "http-no-json": lambda end: end.sendall(_HEAD + b"\r\n<html>\x1b[2J"),
    "http-no-http": lambda end: end.sendall(b"\x00\xff\x1b[2J\r\n\r\n"),
    "http-redirect": lambda end: end.sendall(_ELSEWHERE),
    "http-utf8": lambda end: end.sendall(_HEAD + b'\r\n{"choices": "\xff"}'),
}
"""What is sent in the place of the answer."""

INSTEAD_OF_STREAM: dict[str, Callable[[socket.socket], object]] = {
    "http-endless-stream": _endless_events,
    "http-half-closed": _half_closed,
}
"""What is sent in the place of a streamed answer."""

DIES_AFTER = {"http-crash-first-token": 1, "http-crash-nth-token": 4}
"""How many events of a stream are sent before the engine's process dies."""


def _wrong_usage(content: dict[str, Any]) -> dict[str, Any]:
    if usage := content.get("usage"):
        usage["completion_tokens"] += 100
    return content


def _other_text(content: dict[str, Any]) -> dict[str, Any]:
    for choice in content.get("choices", ()):
        if choice.get("delta", {}).get("content"):
            choice["delta"]["content"] = choice["delta"]["content"].upper() + "!"
    return content


CONTENTS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "http-stream-differs": _other_text,
    "http-usage": _wrong_usage,
}
"""What becomes of an answer, and of each event of a streamed one."""


def _handler(target: Endpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            fault, body = marked(body)
            streamed = json.loads(body)["stream"]
            instead = INSTEAD.get(fault) or (INSTEAD_OF_STREAM.get(fault) if streamed else None)
            self.close_connection = True
            if instead is not None:
                instead(self.connection)
                return
            answer = httpx.post(
                target.base_url + self.path,
                content=body,
                headers={"Authorization": self.headers["Authorization"]},
                timeout=60,
                trust_env=False,
            )
            self.send_response(answer.status_code)
            self.end_headers()
            change = CONTENTS.get(fault, dict)
            if not streamed:
                self.wfile.write(json.dumps(change(answer.json())).encode())
                return
            for number, event in enumerate(_changed_events(answer.text, change), start=1):
                self.wfile.write(event)
                if number == DIES_AFTER.get(fault):
                    die_of("SIGSEGV")

        def log_message(self, *_: object) -> None:
            """Say nothing: the log is the engine's."""

    return Handler


def _changed_events(
    text: str, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> Iterator[bytes]:
    for line in text.splitlines():
        data = line.removeprefix("data: ")
        if line.startswith("data: ") and data != "[DONE]":
            yield f"data: {json.dumps(change(json.loads(data)))}\n\n".encode()
        elif line:
            yield f"{line}\n\n".encode()
