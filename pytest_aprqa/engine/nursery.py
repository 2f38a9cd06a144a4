"""Starting engines from a process that has imported torch and transformers already.

Importing them takes seconds, forking a process that has them takes milliseconds.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pytest_aprqa.engine.nursery_child import LONGEST, ORDER, Begin, Order, Reap

MOST = 2
"""Nurseries a process keeps: each holds a quarter of a gigabyte. They differ in what libraries read
from the environment when they are imported, such as the number of threads."""

_IMPORT_LIMIT = 120.0
"""Seconds the imports may take; on a cold disk they were seen to take 30."""

_CANNOT_TELL = -signal.SIGKILL
"""Exit status of an engine whose nursery has died: the kernel then kills it."""


class NurseryError(Exception):
    """A nursery has died, or does not answer."""


class Nursling:
    """An engine's process that a nursery has started."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self._nursery = nursery
        self._ends = os.pidfd_open(pid)
        self.pid = pid
        self.returncode: int | None = None

    def has_ended(self) -> bool:
        """Whether it has ended; it stays a zombie until `wait`."""
        if self.returncode is not None:
            return True
        poll = select.poll()
        poll.register(self._ends, select.POLLIN)
        return bool(poll.poll(0))

    def kill_group(self) -> None:
        """Kill it and what it started, unless it was reaped."""
        # While its nursery lives its id is its own.
        if self.returncode is None and self._nursery.lives():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Return its exit status when it has ended."""
        if self.returncode is None:
            self.returncode = self._nursery.reap(self.pid)
            os.close(self._ends)
        return self.returncode


class Nursery:
    """One such process, with the environment its engines will have."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Start it; its imports go on in the background. Raises OSError."""
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._orders.settimeout(_IMPORT_LIMIT)
        self._asking = threading.Lock()
        parent = os.getpid() if threading.current_thread() is threading.main_thread() else 0
        command = [sys.executable, "-P", "-m", "pytest_aprqa.engine.nursery_child"]
        with theirs:
            self._popen = subprocess.Popen(
                [*command, str(theirs.fileno()), str(parent)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=environment,
                start_new_session=True,
            )
        self._end = weakref.finalize(self, _end, self._popen, self._orders)

    def lives(self) -> bool:
        return self._popen.poll() is None

    def start(self, config: str, channel: socket.socket, log: Path) -> Nursling:
        """Start an engine that answers calls on `channel`.

        Args:
            config: its `DriverConfig` as JSON.
            channel: the engine's end.
            log: file for its output; temporary files go beside it.

        Raises:
            NurseryError: this nursery cannot start any.
        """
        with log.open("ab") as output:
            descriptors = [channel.fileno(), output.fileno()]
            return Nursling(self, self._ask(Begin(config, str(log.parent)), descriptors))

    def reap(self, pid: int) -> int:
        """Return how a process that was started here has ended."""
        try:
            return self._ask(Reap(pid))
        except NurseryError:
            return _CANNOT_TELL

    def close(self) -> None:
        """End it, and with it every engine that it has started."""
        self._end()

    def _ask(self, order: Order, descriptors: list[int] | None = None) -> int:
        with self._asking:
            try:
                socket.send_fds(self._orders, [ORDER.dump_json(order)], descriptors or [])
                return int(self._orders.recv(LONGEST))
            except (OSError, ValueError) as error:
                self.close()
                raise NurseryError(str(error)) from error
            except BaseException:
                # An answer that nobody reads would be taken for that to the next order.
                self.close()
                raise


def _end(popen: subprocess.Popen[bytes], orders: socket.socket) -> None:
    orders.close()
    popen.kill()
    popen.wait()


_kept: dict[tuple[int, frozenset[tuple[str, str]]], Nursery] = {}
_keeping = threading.Lock()


def nursery(environment: Mapping[str, str]) -> Nursery | None:
    """Return this process's nursery for an environment, started when there is none.

    None where there cannot be one: off Linux, or with as many others as are kept.
    """
    if sys.platform != "linux":
        return None
    key = (os.getpid(), frozenset(environment.items()))
    with _keeping:
        for known in [known for known, one in _kept.items() if not one.lives()]:
            del _kept[known]
        if key not in _kept:
            if sum(pid == os.getpid() for pid, _ in _kept) >= MOST:
                return None
            with suppress(OSError):
                _kept[key] = Nursery(environment)
        return _kept.get(key)
