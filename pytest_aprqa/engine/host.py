"""The parent's side of an engine in a process of its own: an Engine that survives its faults."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from pytest_aprqa.engine.calls import LOAD_REPORT, Calls
from pytest_aprqa.engine.driver import DriverConfig, Reply
from pytest_aprqa.engine.http import serve_generate
from pytest_aprqa.engine.log import EngineLog
from pytest_aprqa.engine.process import EngineProcess
from pytest_aprqa.engine.protocol import Endpoint, EngineError, Fault, Request
from pytest_aprqa.observation import Generation, LoadReport

T = TypeVar("T")

_ENDPOINT = TypeAdapter(Endpoint)
_REPLY = TypeAdapter(Reply)

MAX_ANSWER = 1 << 20
"""Most characters of an answer; the longest that a playbook can ask for has 8192 tokens."""

MOST_DEATHS = 10
"""Deaths of an engine's process in a row after which it is not started again."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
"""Seconds before the start after the second death in a row, twice as long after each more."""

_CRASH_GRACE = 0.5
"""Seconds a dying server's process may take from the broken connection to its end."""


class HostedEngine(Calls):
    """An Engine whose work is done in a child process.

    Nothing starts before the first use. A call past its limit kills the whole process group. A
    process that died is reported by the call under way or the next one, also when it died between
    two; the call after that starts a fresh process and loads the model again, within the limit the
    last `load` was given. Between starts it waits longer from death to death, and when no call was
    answered since `MOST_DEATHS` of them it gives up (GIVEN_UP).
    """

    def __init__(self, config: DriverConfig) -> None:
        self._config = config
        self._log = EngineLog(Path(config.log))
        self._lock = threading.RLock()
        self._process: EngineProcess | None = None
        self._report: LoadReport | None = None
        self._endpoint: Endpoint | None = None
        self._load_timeout: float | None = None
        self._peak = 0
        self._deaths = 0

    def load(self, timeout: float) -> LoadReport:
        with self._lock:
            self._load_timeout = timeout
            if self._process is not None and not self._process.running():
                raise self._death(self._process)
            if self._process is None or self._report is None:
                self._kill()
                self._wait_for_restart()
                self._process = EngineProcess(self._config, self._log)
                self._report = self._ask(self._process, "load", LOAD_REPORT, timeout)
            return self._report

    def generate(self, requests: Sequence[Request], timeout: float) -> list[Generation]:
        with self._lock:
            answers = super().generate(requests, timeout)
            if len(answers) != len(requests):
                self._kill()
                raise EngineError(
                    Fault.PROTOCOL, f"the engine gave {len(answers)} answers to {len(requests)}"
                )
            return [self._of_sound_size(answer) for answer in answers]

    def stream(
        self, request: Request, timeout: float, cancel_after: int | None = None
    ) -> Generation:
        return self._of_sound_size(super().stream(request, timeout, cancel_after))

    def serve(self, timeout: float) -> Endpoint:
        with self._lock:
            if self._endpoint is None or not self._running():
                self._endpoint = self._call("serve", _ENDPOINT, timeout)
            return self._endpoint

    def generate_over_http(self, request: Request, timeout: float) -> Generation:
        deadline = time.monotonic() + timeout
        endpoint = self.serve(timeout)
        try:
            answer = serve_generate(endpoint, request, deadline - time.monotonic())
            return self._of_sound_size(answer)
        except EngineError as error:
            with self._lock:
                self._settle(error)

    def peak_memory(self) -> int:
        with self._lock:
            if self._process is not None and self._running():
                self._peak = max(self._peak, self._process.peak_memory())
            return self._peak

    def close(self) -> None:
        with self._lock:
            self._kill()

    def _call(self, method: str, result: TypeAdapter[T], timeout: float, **arguments: Any) -> T:
        with self._lock:
            self.load(timeout if self._load_timeout is None else self._load_timeout)
            assert self._process is not None
            answer = self._ask(self._process, method, result, timeout, **arguments)
            self._deaths = 0
            return answer

    def _wait_for_restart(self) -> None:
        """Wait before a start that follows on deaths, or raise GIVEN_UP."""
        if self._deaths >= MOST_DEATHS:
            raise EngineError(
                Fault.GIVEN_UP,
                f"the engine died {self._deaths} times in a row and is not started again",
                stderr=self._log.last_words(),
            )
        if self._deaths > 1:
            time.sleep(min(_FIRST_PAUSE * 2 ** (self._deaths - 2), _LONGEST_PAUSE))

    def _ask(
        self,
        process: EngineProcess,
        method: str,
        result: TypeAdapter[T],
        timeout: float,
        **arguments: Any,
    ) -> T:
        deadline = time.monotonic() + timeout
        message = to_json({"method": method, "arguments": arguments}, inf_nan_mode="constants")
        try:
            process.channel.send(message, deadline)
            process.channel.wait(deadline, self._log.trim)
            reply = from_json(process.channel.receive(deadline), cache_strings="keys")
            self._log.trim()
        except TimeoutError as error:
            tail = self._log.last_words()
            self._kill()
            raise EngineError(
                Fault.TIMEOUT,
                f"{method} did not end within {timeout:g} s; the engine was killed",
                stderr=tail,
            ) from error
        except (EOFError, ConnectionError) as error:
            raise self._death(process) from error
        except ValueError as error:
            self._kill()
            raise _malformed(error) from error
        except BaseException:
            # An interrupted call leaves an answer under way that nobody would read.
            self._kill()
            raise
        return self._unpack(reply, result)

    def _unpack(self, reply: Any, result: TypeAdapter[T]) -> T:
        try:
            envelope = _REPLY.validate_python(reply)
            self._peak = max(self._peak, envelope.peak_memory)
            if envelope.failure is None:
                return result.validate_python(envelope.result)
        except ValidationError as error:
            self._kill()
            raise _malformed(error) from error
        failure, tail = envelope.failure, self._log.last_words()
        if failure.fatal:
            self._kill()
        raise EngineError(failure.fault, failure.message, stderr=tail, signal=failure.signal)

    @staticmethod
    def _of_sound_size(answer: Generation) -> Generation:
        """Return an answer, or raise PROTOCOL when it is longer than any request can ask for."""
        size = len(answer.text)
        if size > MAX_ANSWER:
            raise EngineError(
                Fault.PROTOCOL,
                f"the answer has {size} characters, over the limit of {MAX_ANSWER}; it begins "
                f"{answer.text[:80]!r}",
            )
        return answer

    def _settle(self, error: EngineError) -> NoReturn:
        """Raise what an error seen over HTTP means for the process behind the server."""
        if error.fault is Fault.TIMEOUT:
            tail = self._log.last_words()
            self._kill()
            raise EngineError(Fault.TIMEOUT, error.message, stderr=tail) from error
        process = self._process
        give_up = time.monotonic() + _CRASH_GRACE
        while process is not None and time.monotonic() < give_up:
            if not process.running():
                raise self._death(process) from error
            time.sleep(0.02)
        raise EngineError(error.fault, error.message, stderr=self._log.last_words()) from error

    def _death(self, process: EngineProcess) -> EngineError:
        error = process.how_it_ended()
        self._deaths += 1
        self._kill()
        return error

    def _running(self) -> bool:
        return self._process is not None and self._process.running()

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
        self._process = self._report = self._endpoint = None


def _malformed(error: ValueError) -> EngineError:
    """Return what a reply that is not to be read means, in its first sentence."""
    first = error.errors()[0] if isinstance(error, ValidationError) else None
    words = f"{'.'.join(map(str, first['loc']))}: {first['msg']}" if first else str(error)
    return EngineError(Fault.PROTOCOL, f"the engine's answer is malformed: {words}")
