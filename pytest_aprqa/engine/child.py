"""The process of one engine: answers the parent's calls until the parent goes away.

Started as `python -m pytest_aprqa.engine.child FD PARENT CONFIG`: FD is the inherited end of the
channel, PARENT the process id whose death must end this one (0: rely on the channel), CONFIG the
`DriverConfig` as JSON.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import threading
import traceback
from typing import Any, NoReturn

from pydantic import TypeAdapter, validate_call
from pydantic_core import from_json, to_json

from pytest_aprqa.engine.driver import Driver, DriverConfig, DriverName, Failure, Reply
from pytest_aprqa.engine.faults import fault_of
from pytest_aprqa.engine.lifeline import die_with_parent
from pytest_aprqa.engine.memory import limit_own_memory, own_peak
from pytest_aprqa.engine.protocol import EngineError, Fault
from pytest_aprqa.engine.wire import Channel

_METHODS = frozenset(
    {"load", "generate", "stream", "score", "trace", "tokenize", "detokenize", "render", "serve"}
)


def main() -> None:
    descriptor, parent, config_json = sys.argv[1:]
    run(socket.socket(fileno=int(descriptor)), int(parent), config_json)


def run(end: socket.socket, parent: int, config_json: str) -> NoReturn:
    """Be an engine until the channel at `end` is closed."""
    _die_with(parent, end)
    config = TypeAdapter(DriverConfig).validate_json(config_json)
    limit_own_memory(config.memory)
    _answer_calls(Channel(end), config)


def _answer_calls(channel: Channel, config: DriverConfig) -> NoReturn:
    driver: Driver | None = None
    while True:
        try:
            call = from_json(channel.receive())
        except EOFError:
            # Servers and native threads of an engine may not let a normal exit finish.
            os._exit(0)
        result, failure = None, None
        try:
            if driver is None:
                driver = _make(config)
            result = _answer(driver, call["method"], call["arguments"])
        except Exception as error:  # noqa: BLE001  # whatever an engine raises is a reply
            failure = _failure(error, loading=call["method"] == "load")
        channel.send(to_json(Reply(own_peak(), failure, result), inf_nan_mode="constants"))


def _make(config: DriverConfig) -> Driver:
    match config.driver:
        case DriverName.LLAMA_CPP:
            from pytest_aprqa.engine.llama_cpp_driver import LlamaCppDriver

            return LlamaCppDriver(config)
        case DriverName.APR_BINARY:
            from pytest_aprqa.engine.apr_binary_driver import AprBinaryDriver

            return AprBinaryDriver(config)
        case DriverName.TRANSFORMERS:
            from pytest_aprqa.engine.transformers_driver import TransformersDriver

            return TransformersDriver(config)


def _answer(driver: Driver, method: str, arguments: dict[str, Any]) -> object:
    if method not in _METHODS:
        raise EngineError(Fault.PROTOCOL, f"unknown call {method!r}")
    return validate_call(getattr(driver, method))(**arguments)


def _failure(error: Exception, *, loading: bool) -> Failure:
    """Return the reply to a call that raised.

    A driver's own EngineError leaves it fit for the next call; any other exception leaves it in an
    unknown state, so the parent is told to start afresh.
    """
    known = isinstance(error, EngineError)
    if not known:
        traceback.print_exception(error)
    fault = fault_of(error, otherwise=Fault.LOAD if loading else Fault.CRASH)
    return Failure(fault.fault, fault.message, fault.signal, fatal=loading or not known)


def _die_with(parent: int, end: socket.socket) -> None:
    if parent:
        die_with_parent(parent)
    threading.Thread(target=_exit_when_closed, args=(end,), daemon=True).start()


def _exit_when_closed(end: socket.socket) -> None:
    poll = select.poll()
    poll.register(end, 0)  # no events asked for: only the hang-up is reported
    poll.poll()
    os._exit(0)


if __name__ == "__main__":
    main()
