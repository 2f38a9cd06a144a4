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
from pytest_aprqa.engine.driver import DriverConfig
from pytest_aprqa.engine.faults import oom_kills, says_no_memory
from pytest_aprqa.engine.log import EngineLog
from pytest_aprqa.engine.memory import peak_of
from pytest_aprqa.engine.protocol import EngineError, Fault
from pytest_aprqa.engine.spinning import spins
from pytest_aprqa.engine.wire import Channel

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
        die_with_parent = threading.current_thread() is threading.main_thread()
        command = [sys.executable, "-P", "-m", "pytest_aprqa.engine.child"]
        command += [str(theirs.fileno()), str(os.getpid() if die_with_parent else 0)]
        command += [to_json(config).decode()]
        self._log = log
        log.begin()
        self._oom_kills = oom_kills()
        try:
            with theirs, log.path.open("ab") as output:
                self._popen = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=(theirs.fileno(),),
                    # Temporary files of a process that is killed go with its log.
                    env=engine_environment(os.environ, config.threads)
                    | {"TMPDIR": str(log.path.parent)},
                    start_new_session=True,
                )
        except OSError as error:
            ours.close()
            raise EngineError(
                Fault.ENVIRONMENT, f"the engine's process cannot be started: {error}"
            ) from error
        self.channel = Channel(ours)
        self._finalizer = weakref.finalize(self, _end, self._popen, self.channel)

    @property
    def pid(self) -> int:
        return self._popen.pid

    def running(self) -> bool:
        """Whether the process can still answer; one that has ended is left for `kill` to reap."""
        try:
            ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        return ended is None

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
        code = self._popen.returncode
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


def _end(popen: subprocess.Popen[bytes], channel: Channel) -> None:
    # The group first, while its leader is unreaped: its id cannot have been given away.
    if popen.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(popen.pid, signal.SIGKILL)
    channel.close()
    popen.wait()
