"""The real `apr` binary: its own server, and one-shot runs for what that has not."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.engine.apr_completion import MODEL, complete, finish_at
from pytest_aprqa.engine.driver import DriverConfig
from pytest_aprqa.engine.http import HttpClient
from pytest_aprqa.engine.lifeline import die_with_parent
from pytest_aprqa.engine.log import EngineLog
from pytest_aprqa.engine.protocol import Endpoint, EngineError, Fault, Request
from pytest_aprqa.observation import Generation, LayerState, LoadReport, TokenScores
from pytest_aprqa.playbook.check import Message
from pytest_aprqa.words import Backend

# Exit codes of the binary. Its JSON carries the verdict where there is one; 0 alone proves nothing.
_EXIT_FAULTS = {
    1: Fault.PROTOCOL,  # an error that says not whose
    2: Fault.UNSUPPORTED,  # the command line is not known to this version
    3: Fault.ENVIRONMENT,  # file not found
    4: Fault.LOAD,  # invalid format
    5: Fault.LOAD,  # validation failed
    6: Fault.LOAD,  # model load failed
    7: Fault.ENVIRONMENT,  # input or output
    8: Fault.INFERENCE,  # the forward pass failed
    9: Fault.UNSUPPORTED,  # feature not compiled in
    10: Fault.ENVIRONMENT,  # network
    11: Fault.ENVIRONMENT,  # HTTP 404
}

_PANIC = 101
_BY_SIGNAL = 128
"""A shell in between adds the number of the signal to this."""

_FOREVER = 86400.0  # the parent's deadline ends what takes too long
_POLL = 0.05
_DYING = 1.0
_SIGNALS = {int(number): number.name for number in signal.Signals}


class AprBinaryDriver:
    """One APR file in the `apr` binary."""

    def __init__(self, config: DriverConfig) -> None:
        self._config = config
        self._log = EngineLog(Path(config.log))
        self._on_gpu = config.backend is Backend.GPU
        self._device_flag = "--gpu" if self._on_gpu else "--no-gpu"
        self._completes = True

    def load(self) -> LoadReport:
        version = _last_json(self._run("--version", "--json"))
        if self._on_gpu and not version.get("cuda_runtime_available"):
            raise EngineError(Fault.ENVIRONMENT, "this build of apr has no GPU it can use")
        started = time.monotonic()
        self._endpoint = self._start_server()
        seconds = time.monotonic() - started
        with open_tensors(Path(self._config.path)) as file:
            metadata = file.metadata
            dtypes = Counter(info.dtype for info in file.tensors.values())
        return LoadReport(
            engine=f"apr {version.get('version', 'of an unknown version')}",
            device="cuda" if self._on_gpu else "cpu",
            dtype=str(dtypes.most_common(1)[0][0]),
            vocab_size=int(metadata.get("vocab_size") or 0),
            context_length=self._config.context_length,
            has_chat_template=bool(metadata.get("chat_template")),
            seconds=seconds,
            threads=self._config.threads,
        )

    def generate(self, requests: list[Request]) -> list[Generation]:
        return [
            self._raw(request) if request.messages is None else self._over_http(request)
            for request in requests
        ]

    def stream(self, request: Request, cancel_after: int | None) -> Generation:
        with self._server_alive(), HttpClient(self._endpoint) as client:
            return client.stream(request, _FOREVER, cancel_after)

    def score(self, sequences: list[list[int]], top: int, dtype: str) -> list[TokenScores]:
        raise _not_told("log-probabilities")

    def trace(self, ids: list[int]) -> list[LayerState]:
        raise _not_told("hidden states")

    def tokenize(self, texts: list[str], special: bool) -> list[list[int]]:
        raise _not_told("tokens")

    def detokenize(self, sequences: list[list[int]]) -> list[str]:
        raise _not_told("tokens")

    def render(self, messages: list[Message]) -> str:
        raise _not_told("the chat template")

    def serve(self) -> Endpoint:
        return self._endpoint

    def _over_http(self, request: Request) -> Generation:
        with self._server_alive(), HttpClient(self._endpoint) as client:
            return client.generate(request, _FOREVER)

    def _raw(self, request: Request) -> Generation:
        """Ask the server, which has the file loaded; it takes no seed, so not for a draw."""
        if self._completes and request.temperature == 0:
            with self._server_alive():
                answer = complete(self._endpoint, request, _FOREVER)
            if answer is not None:
                return replace(answer, rendered_prompt=request.prompt)
            self._completes = False
        return self._one_shot(request)

    @contextmanager
    def _server_alive(self) -> Iterator[None]:
        """Say what the server died of when that is why it did not answer."""
        try:
            yield
        except EngineError:
            try:
                code = self._server.wait(_DYING)
            except subprocess.TimeoutExpired:
                code = None
            if code is None:
                raise
            raise _ended(code, self._log.tail(self._server_log)) from None

    def _one_shot(self, request: Request) -> Generation:
        started = time.monotonic()
        printed = self._run(
            *("run", self._config.path, f"--prompt={request.prompt or ''}"),
            *("--max-tokens", str(request.max_tokens)),
            *("--temperature", str(request.temperature), "--seed", str(request.seed)),
            *(self._device_flag, "--offline", "--json"),
        )
        answer = _last_json(printed)
        text, count = answer.get("text"), answer.get("tokens_generated")
        if not isinstance(text, str) or not isinstance(count, int):
            raise EngineError(Fault.PROTOCOL, f"apr run printed no answer: {printed[-500:]}")
        ids = answer.get("tokens") or ()
        return Generation(
            text=text,
            finish=finish_at(count, request.max_tokens),
            token_ids=tuple(ids) if len(ids) == count else None,
            rendered_prompt=request.prompt,
            seconds=time.monotonic() - started,
            raw=printed[: 16 * 1024],
        )

    def _start_server(self) -> Endpoint:
        port = _free_port()
        gpu = ("--gpu-layers", "all") if self._on_gpu else ("--no-gpu",)
        context = ("--context-length", str(self._config.context_length))
        address = ("--host", "127.0.0.1", "--port", str(port))
        self._server_log = self._log.size()
        self._server: subprocess.Popen[bytes] = self._launch(
            partial(subprocess.Popen[bytes]),
            ("serve", "run", self._config.path, *address, *gpu, *context),
        )
        endpoint = Endpoint(base_url=f"http://127.0.0.1:{port}", model=MODEL)
        while not _healthy(endpoint):
            if (code := self._server.poll()) is not None:
                raise _ended(code, self._log.tail(self._server_log))
            time.sleep(_POLL)
        return endpoint

    def _run(self, *arguments: str) -> str:
        """Return what the binary prints; raise what its exit code means."""
        log_start = self._log.size()
        call = partial(subprocess.run, stdout=subprocess.PIPE, check=False)
        done = self._launch(call, arguments)
        printed: str = done.stdout.decode("utf-8", errors="replace")
        if done.returncode:
            raise _ended(done.returncode, self._log.tail(log_start) or printed)
        return printed

    def _launch(self, call: Callable[..., Any], arguments: Sequence[str]) -> Any:
        binary = self._config.binary
        try:
            return call(
                [binary, *arguments],
                stdin=subprocess.DEVNULL,
                preexec_fn=partial(die_with_parent, os.getpid()),
            )
        except OSError as error:
            raise EngineError(
                Fault.ENVIRONMENT, f"the apr binary {binary!r} cannot be run: {error.strerror}"
            ) from error


def _ended(code: int, words: str) -> EngineError:
    """Return what an exit code means, with the binary's own words."""
    lines = [line for line in words.strip().splitlines() if line.startswith("error:")]
    said = lines[-1] if lines else words.strip()[-500:]
    number = -code if code < 0 else code - _BY_SIGNAL
    if name := _SIGNALS.get(number):
        return EngineError(Fault.CRASH, f"apr died of {name}: {said}", signal=name)
    fault = Fault.CRASH if code == _PANIC else _EXIT_FAULTS.get(code, Fault.PROTOCOL)
    return EngineError(fault, f"apr ended with exit status {code}: {said}")


def _last_json(printed: str) -> dict[str, Any]:
    """Return the JSON object at the end of what was printed; some versions print lines before it."""
    start = printed.find("{")
    while start >= 0:
        try:
            value = json.loads(printed[start:])
        except ValueError:
            start = printed.find("{", start + 1)
            continue
        return dict(value)
    raise EngineError(Fault.PROTOCOL, f"apr printed no JSON: {printed[-500:]}")


def _healthy(endpoint: Endpoint) -> bool:
    import httpx

    try:
        return httpx.get(f"{endpoint.base_url}/health", timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _not_told(what: str) -> EngineError:
    return EngineError(Fault.UNSUPPORTED, f"the apr binary does not tell {what}")
