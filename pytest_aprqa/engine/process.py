"""A process that hosts one engine: start it, end it, say how it ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil
from pydantic_core import to_json

import pytest_aprqa
from pytest_aprqa.engine.driver import DriverConfig, DriverName
from pytest_aprqa.engine.faults import oom_kills, says_no_memory
from pytest_aprqa.engine.log import EngineLog
from pytest_aprqa.engine.memory import peak_of
from pytest_aprqa.engine.nursery import Nursery, NurseryError, Nursling, nursery
from pytest_aprqa.engine.protocol import EngineError, Fault
from pytest_aprqa.engine.spinning import spins
from pytest_aprqa.engine.wire import Channel
from pytest_aprqa.words import Backend

_KEPT = frozenset(
    {"PATH", "HOME", "USER", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "VIRTUAL_ENV"}
    | {"PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "XDG_CACHE_HOME"}
)
_KEPT_PREFIXES = ("LC_", "CUDA_", "NVIDIA_", "HIP_", "ROCR_", "ROCM_", "HSA_", "GGML_")

_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


def engine_environment(own: Mapping[str, str], threads: int) -> dict[str, str]:
    """Return the environment of an engine: what computing needs, no tokens, no network."""
    kept = {
        name: value
        for name, value in own.items()
        if name in _KEPT or name.startswith(_KEPT_PREFIXES)
    }
    root = str(Path(pytest_aprqa.__file__).parents[1])
    search = os.pathsep.join(part for part in (root, kept.get("PYTHONPATH", "")) if part)
    pools = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    return {
        **kept,
        **_OFFLINE,
        **dict.fromkeys(pools, str(threads)),
        "PYTHONPATH": search,
        "GOMP_SPINCOUNT": str(spins()),
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


class EngineProcess:
    """One running process of its own session, reached through `channel`.

    It dies with its parent: through the parent's end of the channel being closed and, where the
    thread that starts it is sure to live as long as the process (Linux sends the parent-death
    signal when that thread ends), through that signal too.
    """

    def __init__(self, config: DriverConfig, log: EngineLog) -> None:
        ours, theirs = socket.socketpair()
        self._log = log
        log.begin()
        self._oom_kills = oom_kills()
        try:
            with theirs:
                self._started = _start(config, theirs, log.path)
        except OSError as error:
            ours.close()
            raise EngineError(
                Fault.ENVIRONMENT, f"the engine's process cannot be started: {error}"
            ) from error
        except BaseException:
            ours.close()
            raise
        self.channel = Channel(ours)
        self._finalizer = weakref.finalize(self, _end, self._started, self.channel)

    @property
    def pid(self) -> int:
        return self._started.pid

    def running(self) -> bool:
        """Whether the process can still answer; one that has ended is left for `kill` to reap."""
        return not self._started.has_ended()

    def peak_memory(self) -> int:
        """Return the peak resident bytes of the process and of what it has started."""
        try:
            started = psutil.Process(self.pid).children(recursive=True)
        except psutil.Error:
            started = []
        return peak_of(self.pid) + sum(peak_of(process.pid) for process in started)

    def kill(self) -> None:
        """End the process and its group at once and reap it. Safe to call twice."""
        self._finalizer()

    def how_it_ended(self) -> EngineError:
        """Reap the process, which has closed its channel, and return how it ended."""
        self.kill()
        code = self._started.wait()
        tail = self._log.last_words()
        if code < 0:
            name = signal.Signals(-code).name
            if says_no_memory(tail) or (-code == signal.SIGKILL and oom_kills() > self._oom_kills):
                return EngineError(
                    Fault.ENVIRONMENT,
                    f"the engine's process ended with {name} for lack of memory",
                    stderr=tail,
                    signal=name,
                )
            return EngineError(
                Fault.CRASH, f"the engine's process died of {name}", stderr=tail, signal=name
            )
        return EngineError(
            Fault.CRASH, f"the engine's process ended with exit status {code}", stderr=tail
        )


class _Child(subprocess.Popen[bytes]):
    """An engine's process that is a child of this one."""

    def has_ended(self) -> bool:
        """Whether it has ended; it stays a zombie until `wait`."""
        try:
            ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return True
        return ended is not None

    def kill_group(self) -> None:
        """Kill it and what it started, unless it was reaped."""
        # While its leader is unreaped the group's id cannot have been given away.
        if self.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)


def warm_up(driver: DriverName, backend: Backend, threads: int) -> None:
    """Have what an engine imports be imported in the background, where that saves time."""
    _nursery_for(driver, backend, threads)


def _nursery_for(driver: DriverName, backend: Backend, threads: int) -> Nursery | None:
    """Return the process to fork an engine from; None where one of its own is started as fast.

    A GPU's driver does not survive a fork once any library has looked for devices.
    """
    if driver is not DriverName.TRANSFORMERS or backend is not Backend.CPU:
        return None
    return nursery(engine_environment(os.environ, threads))


def _start(config: DriverConfig, end: socket.socket, log: Path) -> _Child | Nursling:
    """Start an engine that answers calls at an end of its channel. Raises OSError."""
    if forked := _nursery_for(config.driver, config.backend, config.threads):
        with suppress(NurseryError):
            return forked.start(to_json(config).decode(), end, log)
    die_with_parent = threading.current_thread() is threading.main_thread()
    command = [sys.executable, "-P", "-m", "pytest_aprqa.engine.child"]
    command += [str(end.fileno()), str(os.getpid() if die_with_parent else 0)]
    command += [to_json(config).decode()]
    # Temporary files of a process that is killed go with its log.
    environment = engine_environment(os.environ, config.threads) | {"TMPDIR": str(log.parent)}
    with log.open("ab") as output:
        return _Child(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(end.fileno(),),
            env=environment,
            start_new_session=True,
        )


def _end(started: _Child | Nursling, channel: Channel) -> None:
    started.kill_group()
    channel.close()
    started.wait()
