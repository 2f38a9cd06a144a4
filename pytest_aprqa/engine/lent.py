"""An engine that other processes of this machine may ask too, so that it is loaded once for all."""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from pydantic import TypeAdapter, validate_call
from pydantic_core import from_json, to_json

from pytest_aprqa.engine.calls import GENERATION, LOAD_REPORT, Calls, call_key
from pytest_aprqa.engine.driver import DriverConfig, Failure, Reply
from pytest_aprqa.engine.host import HostedEngine
from pytest_aprqa.engine.protocol import Endpoint, Engine, EngineError, Fault, Request
from pytest_aprqa.engine.wire import Channel
from pytest_aprqa.observation import Generation, LoadReport, TokenScores

T = TypeVar("T")

_LENT = frozenset(
    {"load", "generate", "generate_over_http", "score", "tokenize", "detokenize", "render"}
)
"""What may be asked of somebody else's engine; a measurement wants one of its own."""

_REMEMBERED = 256
"""Calls whose answers are kept for borrowers: a plan of thousands of checks asks some dozens of batches."""

_REPLY = TypeAdapter(Reply)


class LentEngine(HostedEngine):
    """A hosted engine that lends itself at an address, one lender at a time.

    Its owner's calls are always carried out. A borrower is given what the very same call has
    returned before, if there was one: greedy answers and scores do not change.
    """

    def __init__(self, config: DriverConfig, address: str) -> None:
        super().__init__(config)
        self._known: dict[bytes, object] = {}
        self._counter = _Counter(address, self._lend)

    def generate(self, requests: Sequence[Request], timeout: float) -> list[Generation]:
        with self._lock:
            answers = super().generate(requests, timeout)
            if all(request.temperature == 0 for request in requests):
                self._remember(answers, "generate", requests=list(requests))
            return answers

    def score(
        self, sequences: Sequence[Sequence[int]], top: int, timeout: float, dtype: str = ""
    ) -> list[TokenScores]:
        with self._lock:
            scores = super().score(sequences, top, timeout, dtype)
            ids = [list(sequence) for sequence in sequences]
            self._remember(scores, "score", sequences=ids, top=top, dtype=dtype)
            return scores

    def generate_over_http(self, request: Request, timeout: float) -> Generation:
        answer = super().generate_over_http(request, timeout)
        with self._lock:
            if request.temperature == 0:
                self._remember(answer, "generate_over_http", request=request)
        return answer

    def close(self) -> None:
        self._counter.close()
        super().close()

    def _remember(self, answer: object, method: str, **arguments: object) -> None:
        self._known[call_key(method, arguments)] = answer
        if len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]

    def _lend(self, method: str, arguments: dict[str, Any]) -> object:
        """Carry out a borrower's call."""
        if method not in _LENT:
            raise EngineError(Fault.PROTOCOL, f"{method!r} is not lent")
        call = call_key(method, {name: a for name, a in arguments.items() if name != "timeout"})
        with self._lock:
            if call in self._known:
                return self._known[call]
            return validate_call(getattr(self, method))(**arguments)


class _Counter:
    """Where borrowers come, unless somebody else lends at the address: a thread for each of them."""

    def __init__(self, address: str, answer: Callable[[str, dict[str, Any]], object]) -> None:
        self._answer = answer
        self._ends: set[socket.socket] = set()
        listener = _socket()
        try:
            listener.bind(address)
            listener.listen()
        except OSError:
            listener.close()
        else:
            self._in_thread(self._accept, listener)

    def close(self) -> None:
        """Send every borrower away. Safe to call twice."""
        for end in tuple(self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            end, _ = listener.accept()
            if _is_ours(end):
                self._in_thread(self._answer_calls, end)
            else:
                end.close()

    def _answer_calls(self, end: socket.socket) -> None:
        channel = Channel(end)
        while True:
            call = from_json(channel.receive())
            channel.send(to_json(self._reply(call), inf_nan_mode="constants"))

    def _reply(self, call: dict[str, Any]) -> Reply:
        try:
            return Reply(0, None, self._answer(call["method"], call["arguments"]))
        except EngineError as error:
            failure = Failure(error.fault, error.message, error.signal, False, error.stderr)
            return Reply(0, failure)

    def _in_thread(self, work: Callable[[socket.socket], None], end: socket.socket) -> None:
        """Work on a socket until its other end, or we, close it."""

        def until_closed() -> None:
            with end, suppress(OSError, EOFError):
                work(end)
            self._ends.discard(end)

        self._ends.add(end)
        threading.Thread(target=until_closed, name="lend", daemon=True).start()


def borrow(address: str, own: Callable[[], Engine]) -> BorrowedEngine | None:
    """Return the engine lent at an address, or None when none is.

    Args:
        address: of the lender.
        own: called for an engine of our own, when the lender is gone or does not lend a call.
    """
    end = _socket()
    with suppress(OSError):
        end.connect(address)
        if _is_ours(end):
            return BorrowedEngine(Channel(end), own)
    end.close()
    return None


def address_of(name: str) -> str | None:
    """Return the address of a name; None where the system has none that leave no file behind."""
    return f"\0aprqa-{name}" if sys.platform == "linux" else None


def _socket() -> socket.socket:
    return socket.socket(socket.AF_UNIX)


def _is_ours(end: socket.socket) -> bool:
    """Whether the process at the other end is of our user: such an address has no permissions."""
    size = struct.calcsize("3i")
    _, user, _ = struct.unpack("3i", end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return bool(user == os.getuid())


class BorrowedEngine(Calls):
    """The engine another process lends; our own takes its place when that process is gone."""

    def __init__(self, channel: Channel, own: Callable[[], Engine]) -> None:
        self._channel = channel
        self._own = own

    def load(self, timeout: float) -> LoadReport:
        return self._call("load", LOAD_REPORT, timeout)

    def serve(self, timeout: float) -> Endpoint:
        return self._own().serve(timeout)

    def generate_over_http(self, request: Request, timeout: float) -> Generation:
        return self._call("generate_over_http", GENERATION, timeout, request=request)

    def peak_memory(self) -> int:
        return self._own().peak_memory()

    def close(self) -> None:
        """Give the engine back. Safe to call twice."""
        self._channel.close()

    def _call(self, method: str, result: TypeAdapter[T], timeout: float, **arguments: Any) -> T:
        """Return the lender's answer. It may wait its turn: the limit is the engine's alone."""
        arguments["timeout"] = timeout
        reply = self._reply(method, arguments) if method in _LENT else None
        if reply is None:
            answer: T = getattr(self._own(), method)(**arguments)
            return answer
        if (failure := reply.failure) is None:
            return result.validate_python(reply.result)
        raise EngineError(
            failure.fault, failure.message, stderr=failure.stderr, signal=failure.signal
        )

    def _reply(self, method: str, arguments: dict[str, Any]) -> Reply | None:
        """Return what the lender replied, or None when it is gone."""
        message = to_json({"method": method, "arguments": arguments}, inf_nan_mode="constants")
        try:
            self._channel.send(message)
            return _REPLY.validate_python(from_json(self._channel.receive()))
        except (OSError, EOFError):
            self.close()
            return None
        except BaseException:
            self.close()  # an answer is under way that nobody would read
            raise
