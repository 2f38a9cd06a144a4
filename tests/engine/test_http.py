"""Servers that break off, speak another protocol, or decline."""

from __future__ import annotations

import errno
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aprqa.engine.http import MAX_BODY, HttpClient, serve_generate
from pytest_aprqa.engine.http_answer import RAW, StreamedAnswer
from pytest_aprqa.engine.protocol import Endpoint, EngineError, Fault, Request
from pytest_aprqa.observation import FinishReason, Usage
from pytest_aprqa.playbook.check import Message

LIMIT = 10.0
RAW_REQUEST = Request("Hello", max_tokens=4)
CHAT_REQUEST = Request(None, messages=(Message("user", "Hello"),), max_tokens=4)
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


class Server:
    """Sends prepared bytes to whoever connects, one answer per connection, and hangs up."""

    def __init__(self, answers: list[bytes], hang: bool) -> None:
        self._answers, self._hang = answers, hang
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._released = threading.Event()
        self.requests: list[dict[str, object]] = []
        self.headers: list[str] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def endpoint(self) -> Endpoint:
        port = self._listener.getsockname()[1]
        return Endpoint(f"http://127.0.0.1:{port}", "the-model", "the-key")

    def _run(self) -> None:
        for answer in self._answers:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._take(connection)
                connection.sendall(answer)
                if self._hang:
                    self._released.wait(LIMIT)

    def _take(self, connection: socket.socket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if b"content-length" in line]
        while len(body) < int(lengths[0].partition(b":")[2]):
            body += connection.recv(65536)
        self.headers.append(head.decode())
        self.requests.append(json.loads(body))

    def close(self) -> None:
        self._released.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(*answers: bytes, hang: bool = False) -> Server:
        servers.append(Server(list(answers), hang))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def whole(body: object, status: str = "200 OK") -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data


def stream(*events: object, done: bool = True) -> bytes:
    lines = [event if isinstance(event, str) else "data: " + json.dumps(event) for event in events]
    lines += ["data: [DONE]"] if done else []
    body = "".join(line + "\n\n" for line in lines)
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + body.encode()


def text(piece: str, finish: str | None = None) -> dict[str, object]:
    return {"choices": [{"index": 0, "text": piece, "finish_reason": finish}]}


def delta(piece: str | None, finish: str | None = None) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": finish}]}


COMPLETION = {**text("Hi there", "stop"), "usage": USAGE}


def test_the_same_request_is_made_whole_and_streamed(serve: Callable[..., Server]) -> None:
    usage = {"choices": [], "usage": USAGE}
    server = serve(whole(COMPLETION), stream(text("Hi"), text(" there"), text("", "stop"), usage))
    answer = serve_generate(server.endpoint, RAW_REQUEST, LIMIT)
    assert answer.text == answer.streamed_text == "Hi there"
    assert answer.usage == answer.streamed_usage == Usage(3, 2)
    assert answer.finish is FinishReason.STOP
    assert answer.seconds_to_first_token is not None
    assert "[DONE]" in answer.raw
    assert "Hi there" in answer.raw
    first, second = server.requests
    assert first == {
        "model": "the-model",
        "prompt": "Hello",
        "max_tokens": 4,
        "temperature": 0.0,
        "seed": 42,
        "stream": False,
    }
    assert second == {**first, "stream": True, "stream_options": {"include_usage": True}}
    assert all("authorization: bearer the-key" in head.lower() for head in server.headers)


def test_chat_reads_messages_and_deltas(serve: Callable[..., Server]) -> None:
    message = {"role": "assistant", "content": "Hi"}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "length"}]}
    server = serve(whole(body), stream(delta(None), delta("H"), delta("i"), delta(None, "length")))
    answer = serve_generate(server.endpoint, CHAT_REQUEST, LIMIT)
    assert answer.text == answer.streamed_text == "Hi"
    assert answer.finish is FinishReason.LENGTH
    assert answer.usage is None
    assert server.requests[0]["messages"] == [{"role": "user", "content": "Hello"}]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (whole(b"<html>busy</html>", "500 Internal Server Error"), "HTTP 500: <html>busy"),
        (whole({"error": "gone"}, "404 Not Found"), "HTTP 404"),
        (whole({}, "302 Found"), "HTTP 302"),
        (whole(b"not json"), "no JSON: not json"),
        (whole([1, 2]), "no object"),
        (whole({"choices": []}), "no choice"),
        (whole({"choices": "none"}), "no list of objects"),
        (whole({"choices": [{"text": 7, "finish_reason": "stop"}]}), "text is no text"),
        (whole(text("Hi", "because")), "unknown finish reason 'because'"),
        (whole(text("Hi")), "unknown finish reason None"),
        (whole(b'{"choices": "\xff\xfe"}'), "not UTF-8"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhalf", "RemoteProtocolError"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "RemoteProtocolError"),
        (b"", "RemoteProtocolError"),
        (whole(b"x" * (MAX_BODY + 1)), "over 16777216 bytes"),
    ],
)
def test_an_answer_that_is_none_is_a_breach_of_protocol(
    serve: Callable[..., Server], answer: bytes, words: str
) -> None:
    with (
        HttpClient(serve(answer).endpoint) as client,
        pytest.raises(EngineError) as caught,
    ):
        client.generate(RAW_REQUEST, LIMIT)
    assert caught.value.fault is Fault.PROTOCOL
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (stream(text("Hi"), done=False), "broke off before a finish reason"),
        (stream(text("Hi")), "[DONE] without a finish reason"),
        (stream(text("Hi"), {"error": {"message": "no memory"}}), "the stream carries an error"),
        (stream(text("Hi", "stop"), "data: {half"), "no JSON: {half"),
        (stream(text("Hi", "stop"), "<html>"), "not a server-sent event: <html>"),
        (stream(text("Hi", "stop"), "data: [DONE]", text("more")), "an event follows [DONE]"),
        (stream(text("Hi", "stop"), done=False) + b"data: {", "ends inside a line"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ndata:\r\n",
            "RemoteProtocolError",
        ),
        (whole(b"down", "503 Service Unavailable"), "HTTP 503: down"),
    ],
)
def test_a_stream_that_does_not_end_as_it_must_is_a_breach_of_protocol(
    serve: Callable[..., Server], answer: bytes, words: str
) -> None:
    with (
        HttpClient(serve(answer).endpoint) as client,
        pytest.raises(EngineError) as caught,
    ):
        client.stream(RAW_REQUEST, LIMIT)
    assert caught.value.fault is Fault.PROTOCOL
    assert words in caught.value.message


def test_comments_and_other_fields_of_events_are_passed_over(serve: Callable[..., Server]) -> None:
    answer = stream(": ping", "event: message", "id: 7", "retry: 10", text("Hi", "stop"))
    with HttpClient(serve(answer).endpoint) as client:
        assert client.stream(RAW_REQUEST, LIMIT).text == "Hi"


def test_a_stream_may_end_without_done_when_it_says_why_it_ended(
    serve: Callable[..., Server],
) -> None:
    with HttpClient(serve(stream(text("Hi", "stop"), done=False)).endpoint) as client:
        assert client.stream(RAW_REQUEST, LIMIT).finish is FinishReason.STOP


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"code": 400, "message": "too long"}},
        {"error": "too long"},
        {"detail": "too long"},
        "too long",
    ],
)
def test_a_request_the_server_declines_is_a_refusal_in_its_words(
    serve: Callable[..., Server], body: object
) -> None:
    answer = serve_generate(serve(whole(body, "400 Bad Request")).endpoint, RAW_REQUEST, LIMIT)
    assert answer.finish is FinishReason.REFUSED
    assert answer.refusal == "too long"
    with HttpClient(serve(whole(body, "400 Bad Request")).endpoint) as client:
        assert client.stream(RAW_REQUEST, LIMIT).refusal == "too long"


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\n\r\n", stream(text("Hi"), done=False)])
def test_a_silent_server_is_a_timeout(serve: Callable[..., Server], sent: bytes) -> None:
    with (
        HttpClient(serve(sent, hang=True).endpoint) as client,
        pytest.raises(EngineError) as caught,
    ):
        client.stream(RAW_REQUEST, 0.2)
    assert caught.value.fault is Fault.TIMEOUT


def test_nobody_listening_is_a_breach_of_protocol() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    endpoint = Endpoint(f"http://127.0.0.1:{port}", "m")
    with pytest.raises(EngineError, match="ConnectError") as caught:
        serve_generate(endpoint, RAW_REQUEST, LIMIT)
    assert caught.value.fault is Fault.PROTOCOL


def test_a_stream_is_cancelled_by_hanging_up(serve: Callable[..., Server]) -> None:
    server = serve(stream(*(text(str(n)) for n in range(9)), done=False), hang=True)
    with HttpClient(server.endpoint) as client:
        answer = client.stream(RAW_REQUEST, LIMIT, cancel_after=3)
    assert (answer.text, answer.finish) == ("012", FinishReason.CANCELLED)


def test_what_is_kept_verbatim_is_capped(serve: Callable[..., Server]) -> None:
    long = "x" * (2 * RAW)
    server = serve(whole(text(long, "stop")), stream(text(long, "stop")))
    answer = serve_generate(server.endpoint, RAW_REQUEST, LIMIT)
    assert answer.text == answer.streamed_text == long
    assert len(answer.raw) <= RAW


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "text", "delta", "content", "finish_reason", "usage"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(event=_JSON, chat=st.booleans())
def test_no_event_does_anything_but_be_taken_or_be_refused(event: object, chat: bool) -> None:
    answer = StreamedAnswer(chat=chat)
    with suppress(EngineError):
        answer.take("data: " + json.dumps(event))
    assert all(isinstance(piece, str) for piece in answer.pieces)


def test_a_machine_that_reaches_nobody_is_no_fault_of_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr(socket, "create_connection", refuse)  # a loopback that is down
    with pytest.raises(
        EngineError, match=r"no way to http://127\.0\.0\.1:9: .*unreachable"
    ) as caught:
        serve_generate(Endpoint("http://127.0.0.1:9", "the-model", ""), RAW_REQUEST, LIMIT)
    assert caught.value.fault is Fault.ENVIRONMENT
