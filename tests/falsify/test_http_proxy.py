from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from pytest_aprqa.engine.http import serve_generate
from pytest_aprqa.engine.protocol import Endpoint, EngineError, Fault, Request
from pytest_aprqa.falsify.http_proxy import Meddling, Proxy
from pytest_aprqa.observation import Generation, Usage


class Server(BaseHTTPRequestHandler):
    """An OpenAI-compatible server with one answer."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        choice: dict[str, Any] = {"text": f"{body['prompt']} Paris.", "finish_reason": "stop"}
        answer = {"choices": [choice], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}
        content, kind = json.dumps(answer).encode(), "application/json"
        if body["stream"]:
            content, kind = b"data: " + content + b"\n\ndata: [DONE]\n\n", "text/event-stream"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def target() -> Iterator[Endpoint]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Endpoint(f"http://127.0.0.1:{server.server_address[1]}", "model")
        server.shutdown()
        thread.join()


def ask(target: Endpoint, meddling: Meddling) -> Generation:
    proxy = Proxy(target, meddling)
    try:
        return serve_generate(proxy.endpoint, Request("France:"), 10)
    finally:
        proxy.close()


def test_without_meddling_the_answer_passes_as_it_is(target: Endpoint) -> None:
    through, direct = ask(target, Meddling()), serve_generate(target, Request("France:"), 10)
    assert (through.text, through.streamed_text) == ("France: Paris.", "France: Paris.")
    assert (through.text, through.usage) == (direct.text, direct.usage)


def test_requests_whole_answers_and_events_can_be_spoilt_each(target: Endpoint) -> None:
    spoilt = ask(
        target,
        Meddling(
            request=lambda body: {**body, "prompt": "Spain:"},
            answer=lambda answer: {**answer, "usage": None},
            event=lambda event: {**event, "usage": {"prompt_tokens": 1, "completion_tokens": 1}},
        ),
    )
    assert spoilt.text == "Spain: Paris."
    assert spoilt.usage is None
    assert spoilt.streamed_usage == Usage(1, 1)


def test_a_request_that_is_not_granted_gets_http_500(target: Endpoint) -> None:
    with pytest.raises(EngineError, match="HTTP 500") as caught:
        ask(target, Meddling(grants=lambda number: number != 1))
    assert caught.value.fault is Fault.PROTOCOL
