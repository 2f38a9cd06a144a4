from __future__ import annotations

import pytest

from pytest_aprqa.engine.protocol import Endpoint, Engine, EngineError, Fault, Request
from pytest_aprqa.engine.remote import RemoteEngine, endpoint_at
from pytest_aprqa.observation import FinishReason
from pytest_aprqa.playbook.check import Message

LIMIT = 60.0
CHAT = Request(None, messages=(Message("user", "hens"),), max_tokens=6)


@pytest.fixture
def remote(gguf_engine: Engine) -> Engine:
    return RemoteEngine(gguf_engine.serve(LIMIT))


@pytest.mark.parametrize(
    "address", ["http://a:1", "http://a:1/", "http://a:1/v1", "http://a:1/v1/"]
)
def test_an_address_may_end_in_the_version(address: str) -> None:
    assert endpoint_at(address, "m").base_url == "http://a:1"


def test_a_server_is_asked_like_any_engine(remote: Engine, gguf_engine: Engine) -> None:
    requests = [Request("the quick", max_tokens=6), CHAT]
    answers = remote.generate(requests, LIMIT)
    expected = gguf_engine.generate(requests, LIMIT)
    assert [a.text for a in answers] == [e.text for e in expected]
    assert [a.usage for a in answers] == [e.usage for e in expected]
    assert remote.stream(requests[0], LIMIT).text == expected[0].text
    assert remote.generate_over_http(CHAT, LIMIT).text == expected[1].text


def test_loading_asks_whether_the_server_is_there_and_chats(remote: Engine) -> None:
    report = remote.load(LIMIT)
    assert report.has_chat_template
    assert report.device == "remote"
    assert remote.load(LIMIT) is report


def test_a_server_that_is_not_there_does_not_load() -> None:
    with pytest.raises(EngineError, match="ConnectError"):
        RemoteEngine(Endpoint("http://127.0.0.1:9", "m")).load(5)


def test_a_wrong_key_is_named_and_not_printed(gguf_engine: Engine) -> None:
    endpoint = gguf_engine.serve(LIMIT)
    wrong = Endpoint(endpoint.base_url, endpoint.model, "not-the-key")
    with pytest.raises(EngineError, match="HTTP 401") as caught:
        RemoteEngine(wrong).load(LIMIT)
    assert caught.value.fault is Fault.PROTOCOL
    assert "not-the-key" not in caught.value.message


def test_what_a_server_does_not_tell_is_unsupported(remote: Engine) -> None:
    for ask in (
        lambda: remote.score([[1, 2]], 1, LIMIT),
        lambda: remote.tokenize(["a"], special=False, timeout=LIMIT),
        lambda: remote.detokenize([[1]], LIMIT),
        lambda: remote.render(CHAT.messages or (), LIMIT),
    ):
        with pytest.raises(EngineError, match="does not tell") as caught:
            ask()
        assert caught.value.fault is Fault.UNSUPPORTED
    assert remote.peak_memory() == 0


def test_closing_leaves_the_server_running(remote: Engine) -> None:
    remote.close()
    assert remote.generate([CHAT], LIMIT)[0].finish is not FinishReason.REFUSED
