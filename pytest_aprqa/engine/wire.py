"""Length-prefixed messages between the parent and an engine's process."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable

MAX_MESSAGE = 1 << 29
"""Longest message in bytes: the log-probabilities of a long text fit, a runaway answer does not."""

_LENGTH = struct.Struct(">I")


class Channel:
    """One end of a socket pair that carries whole messages."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, message: bytes, deadline: float | None = None) -> None:
        """Send one message; TimeoutError past `deadline` (monotonic seconds)."""
        if len(message) > MAX_MESSAGE:
            raise ValueError(f"message of {len(message)} bytes is over the limit of {MAX_MESSAGE}")
        self._socket.settimeout(_left(deadline))
        self._socket.sendall(_LENGTH.pack(len(message)) + message)

    def receive(self, deadline: float | None = None) -> bytes:
        """Return the next message.

        Raises:
            EOFError: the other end is closed.
            TimeoutError: nothing complete came before `deadline` (monotonic seconds).
            ValueError: the announced length is over the limit.
        """
        (length,) = _LENGTH.unpack(self._exactly(_LENGTH.size, deadline))
        if length > MAX_MESSAGE:
            raise ValueError(f"message of {length} bytes is over the limit of {MAX_MESSAGE}")
        return bytes(self._exactly(length, deadline))

    def wait(self, deadline: float, idle: Callable[[], None], every: float = 1.0) -> None:
        """Return when a message has begun to arrive; call `idle` while waiting.

        Raises:
            TimeoutError: nothing came before `deadline` (monotonic seconds).
        """
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        while (left := deadline - time.monotonic()) > 0:
            if poll.poll(1000 * min(left, every)):
                return
            idle()
        raise TimeoutError("no answer before the deadline")

    def close(self) -> None:
        self._socket.close()

    def _exactly(self, count: int, deadline: float | None) -> bytearray:
        data = bytearray(count)
        view = memoryview(data)
        filled = 0
        while filled < count:
            self._socket.settimeout(_left(deadline))
            received = self._socket.recv_into(view[filled:])
            if not received:
                raise EOFError("the other end is closed")
            filled += received
        return data


def _left(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    return left
