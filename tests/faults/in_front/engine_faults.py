"""A driver of llama.cpp that meets the fault a question or a model's name asks for.

A question asks by a mark at its end, such as `[fault: hang]`, which is taken off before the real
engine is asked.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from http_front import start_front
from marks import die_of, hang, marked

from pytest_aprqa.engine.llama_cpp_driver import LlamaCppDriver
from pytest_aprqa.engine.protocol import Endpoint, EngineError, Fault, Request
from pytest_aprqa.engine.wire import Channel
from pytest_aprqa.observation import Generation, LoadReport

_FLOOD = b"\x1b[31mred\x1b]0;title\x07 and \x00 and \xff\n" * 1024


def _abort_without_memory() -> None:
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
    os.abort()


def _oom_kill() -> None:
    with Path("oom-kills").open("a") as count:  # in the place of the kernel's
        count.write("x")
    die_of("SIGKILL")


def _once(fault: Callable[[], object]) -> Callable[[], object]:
    """Return what does a fault the first time it is met in a run."""

    def do() -> None:
        path = Path(f"{fault.__name__}-was-met")
        if not path.exists():
            path.touch()
            fault()

    return do


def _segfault() -> None:
    ctypes.string_at(0)


def _exception() -> NoReturn:
    raise RuntimeError("tensor \x1b[2Jof the wrong shape")


def _use_all_memory() -> None:
    held = []
    while True:
        held.append(bytearray(1 << 36))


def _leave_a_grandchild() -> None:
    process = subprocess.Popen(["sleep", "600"])
    Path("grandchild").write_text(str(process.pid))


def _flood_the_log() -> None:
    for _ in range(1024):
        os.write(2, _FLOOD)


def _open_files() -> NoReturn:
    held = []
    while True:
        held.append(os.dup(2))


def _reply(send: Callable[[socket.socket], object]) -> Callable[[], None]:
    """Return a fault that puts something else in the place of the next reply."""

    def spoil() -> None:
        Channel.send = lambda self, message, deadline=None: send(self._socket)  # type: ignore[method-assign,assignment]

    return spoil


def _framed(message: bytes) -> bytes:
    return len(message).to_bytes(4, "big") + message


ASKED: dict[str, Callable[[], object]] = {
    "abort": os.abort,
    "abort-without-memory": _abort_without_memory,
    "exception": _exception,
    "exit": lambda: os._exit(7),
    "files-exhausted": _open_files,
    "grandchild": _leave_a_grandchild,
    "hang": hang,
    "hang-once": _once(hang),
    "killed": lambda: die_of("SIGKILL"),
    "log-flood": _flood_the_log,
    "memory-limit": _use_all_memory,
    "oom-kill": _oom_kill,
    "reply-binary": _reply(lambda end: end.sendall(_framed(b"\xff\x00\x1b[2J"))),
    "reply-cut": _reply(lambda end: (end.sendall(_framed(b"{}")[:5]), os._exit(0))),
    "reply-drips": _reply(lambda end: (end.sendall((1 << 20).to_bytes(4, "big")), hang())),
    "reply-huge": _reply(lambda end: (end.sendall(b"\xff\xff\xff\xff"), hang())),
    "reply-nested": _reply(lambda end: end.sendall(_framed(b"[" * 100_000))),
    "reply-other": _reply(lambda end: end.sendall(_framed(b'{"result": [{"text": 1}]}'))),
    "segfault": _segfault,
    "segfault-once": _once(_segfault),
    "slow": lambda: time.sleep(0.5),
    "stopped": lambda: die_of("SIGSTOP"),
}
"""What happens before the engine is asked."""

TEXTS: dict[str, Callable[[str], str]] = {
    "answer-empty": lambda text: "",
    "answer-escapes": lambda text: f"{text}\x1b[2J\x1b]0;owned\x07",
    "answer-garbage": lambda text: "\ufffd\ufffd the the the the the the the the the the \ufffd",
    "answer-huge": lambda text: "0123456789abcdef" * (1 << 20),
    "answer-markup": lambda text: f"{text}<script>alert(1)</script>|]]>&",
    "answer-nul": lambda text: f"{text}\x00\x00",
}
"""What becomes of the text of an answer."""


def _missing_package() -> NoReturn:
    raise ImportError("No module named 'xllamacpp'")


def _port_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket() as server:
        server.bind(taken.getsockname())


LOADED: dict[str, Callable[[], object]] = {
    "load-crash": lambda: ctypes.string_at(0),
    "load-exception": _exception,
    "load-hang": hang,
    "load-memory": _use_all_memory,
    "load-oom-kill": _oom_kill,
    "load-package": _missing_package,
    "load-files": lambda: (_ for _ in ()).throw(OSError(errno.EMFILE, os.strerror(errno.EMFILE))),
}
"""What happens when the engine is asked to load a model of that name."""

SERVED: dict[str, Callable[[], object]] = {"serve-port-taken": _port_taken}
"""What happens when the server of a model of that name is asked for."""


def fault_and_request(request: Request) -> tuple[str, Request]:
    if request.messages is None:
        fault, prompt = marked(request.prompt or "")
        return fault, replace(request, prompt=prompt)
    fault, content = marked(request.messages[-1].content)
    return fault, replace(
        request,
        messages=(*request.messages[:-1], replace(request.messages[-1], content=content)),
    )


class FaultyDriver(LlamaCppDriver):
    def load(self) -> LoadReport:
        LOADED.get(self._stem, bool)()
        return super().load()

    def generate(self, requests: list[Request]) -> list[Generation]:
        faults, plain = zip(*map(fault_and_request, requests), strict=True)
        if len(plain) > 1 and any(faults):
            raise EngineError(Fault.PROTOCOL, "each of these is asked alone")
        ASKED.get(faults[0], bool)()
        answers = super().generate(list(plain))
        if faults[0] == "answers-missing":
            return []
        change = TEXTS.get(faults[0], str)
        return [replace(answer, text=change(answer.text)) for answer in answers]

    def serve(self) -> Endpoint:
        SERVED.get(self._stem, bool)()
        endpoint = super().serve()
        if self._stem == "serve-refused":
            return replace(endpoint, base_url="http://127.0.0.1:9")
        return start_front(endpoint)

    @property
    def _stem(self) -> str:
        return Path(self._config.path).stem
