from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aprqa.engine.wire import MAX_MESSAGE, Channel


@pytest.fixture
def ends() -> Iterator[tuple[Channel, socket.socket]]:
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    yield channel, theirs
    channel.close()
    theirs.close()


@given(messages=st.lists(st.binary(max_size=5000), max_size=5))
def test_messages_arrive_whole_and_in_order(messages: list[bytes]) -> None:
    ours, theirs = map(Channel, socket.socketpair())
    for message in messages:
        ours.send(message)
    assert [theirs.receive() for _ in messages] == messages
    ours.close()
    theirs.close()


def test_a_message_larger_than_the_socket_buffer_arrives_whole() -> None:
    ours, theirs = map(Channel, socket.socketpair())
    message = bytes(range(256)) * 40_000
    sender = threading.Thread(target=ours.send, args=(message,))
    sender.start()
    assert theirs.receive() == message
    sender.join()
    ours.close()
    theirs.close()


def test_a_closed_end_inside_a_message_is_an_end_of_file(
    ends: tuple[Channel, socket.socket],
) -> None:
    channel, other = ends
    other.sendall(struct.pack(">I", 100) + b"half")
    other.close()
    with pytest.raises(EOFError):
        channel.receive()


def test_an_announced_length_over_the_limit_is_refused_before_it_is_read(
    ends: tuple[Channel, socket.socket],
) -> None:
    channel, other = ends
    other.sendall(struct.pack(">I", MAX_MESSAGE + 1))
    with pytest.raises(ValueError, match="over the limit"):
        channel.receive()


def test_half_a_message_does_not_hold_up_the_deadline(ends: tuple[Channel, socket.socket]) -> None:
    channel, other = ends
    other.sendall(struct.pack(">I", 100) + b"half")
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        channel.receive(time.monotonic() + 0.1)
    assert time.monotonic() - started < 5


def test_waiting_reports_that_it_idles_and_ends_at_the_deadline(
    ends: tuple[Channel, socket.socket],
) -> None:
    channel, other = ends
    idled: list[None] = []
    with pytest.raises(TimeoutError):
        channel.wait(time.monotonic() + 0.1, lambda: idled.append(None), every=0.01)
    assert idled
    other.sendall(b"x")
    channel.wait(time.monotonic() + 5, idled.clear)
    assert idled
