"""The process engines are forked from: it imports what they need once, and loads no model itself.

Started as `python -m pytest_aprqa.engine.nursery_child FD PARENT`, which mean the same as to
`pytest_aprqa.engine.child`. Each order comes in one message:

* `Begin`, with an engine's end of its channel and its log: answered by the process id;
* `Reap`: answered, when that process has ended, by its exit status as `subprocess` gives it.
"""

from __future__ import annotations

import gc
import importlib
import os
import socket
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from pydantic import TypeAdapter

from pytest_aprqa.engine import child
from pytest_aprqa.engine.lifeline import die_with_parent

LONGEST = 1 << 16
"""Bytes of the longest order."""

_IMPORTED = (
    "transformers.generation",
    "transformers.models.llama.modeling_llama",
    "transformers.models.auto.tokenization_auto",
    "pytest_aprqa.engine.transformers_driver",
)

_IMPORTED_NEXT = ("transformers.cli.serve", "transformers.cli.serving.chat_completion")
"""Of the server: the first engine does not wait for them, those after it need not import them."""


@dataclass(frozen=True, slots=True)
class Begin:
    """Start an engine: its `DriverConfig` as JSON, and its directory of temporary files."""

    config: str
    temporary: str


@dataclass(frozen=True, slots=True)
class Reap:
    """Tell how the process with this id has ended."""

    reap: int


Order = Begin | Reap
ORDER: TypeAdapter[Order] = TypeAdapter(Order)


def main() -> None:
    descriptor, parent = sys.argv[1:]
    orders = socket.socket(fileno=int(descriptor))
    if int(parent):
        die_with_parent(int(parent))
    gc.disable()  # importing makes next to no garbage, and looking for it takes a fifth of the time
    _import(_IMPORTED)
    while True:
        message, descriptors, _, _ = socket.recv_fds(orders, LONGEST, 2)
        if not message:
            os._exit(0)
        order = ORDER.validate_json(message)
        if isinstance(order, Reap):
            _, status = os.waitpid(order.reap, 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = _begin(order, orders, *descriptors)
        orders.send(str(answer).encode())
        if isinstance(order, Begin):
            _import(_IMPORTED_NEXT)


def _import(modules: Iterable[str]) -> None:
    for module in modules:
        # What cannot be imported is for the engine to say, in the reply to its first call.
        with suppress(Exception):
            importlib.import_module(module)
    gc.freeze()


def _begin(order: Begin, orders: socket.socket, channel: int, log: int) -> int:
    """Fork an engine; return its process id here, and never there."""
    nursery = os.getpid()
    pid = os.fork()
    if pid == 0:
        orders.close()
        os.setsid()
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        os.environ["TMPDIR"] = order.temporary
        tempfile.tempdir = None
        gc.enable()
        child.run(socket.socket(fileno=channel), nursery, order.config)
    os.close(channel)
    os.close(log)
    return pid


if __name__ == "__main__":
    main()
