"""Memory of engines: the most they have held, and the most they may have."""

from __future__ import annotations

import os
import resource
import sys
from contextlib import suppress
from pathlib import Path

_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
_CGROUP_USED = (
    Path("/sys/fs/cgroup/memory.current"),
    Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
_MOST_KILLABLE = b"1000"


def peak_of(pid: int) -> int:
    """Return the peak resident bytes of a live process, 0 when it cannot be told.

    On Linux from VmHWM: unlike `getrusage` it does not inherit the peak of the process that
    started this one.
    """
    return _status_of(pid, "VmHWM")


def _status_of(pid: int, what: str) -> int:
    """Return a size that Linux tells of a process, in bytes; 0 when it cannot be told."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    lines = (line.split() for line in status.splitlines() if line.startswith(f"{what}:"))
    return int(next(lines, ("", "0"))[1]) * 1024


def own_peak() -> int:
    """Return the peak resident bytes of this process."""
    if sys.platform == "linux":
        return peak_of(os.getpid())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def machine_memory() -> int:
    """Return the bytes of memory this machine has, or this container may use of it."""
    import psutil

    total = psutil.virtual_memory().total
    for file in _CGROUP_LIMITS:
        with suppress(OSError, ValueError):  # no such control group, or "max"
            total = min(total, int(file.read_text("ascii")))
    return total


def memory_left() -> int:
    """Return the bytes this process may still allocate: what is free here, within its own bound."""
    import psutil

    left = psutil.virtual_memory().available
    for most, used in zip(_CGROUP_LIMITS, _CGROUP_USED, strict=True):
        with suppress(OSError, ValueError):  # no such control group, or "max"
            left = min(left, int(most.read_text("ascii")) - int(used.read_text("ascii")))
    if sys.platform == "linux":
        bound, _ = resource.getrlimit(resource.RLIMIT_DATA)
        if bound != resource.RLIM_INFINITY:
            left = min(left, bound - _status_of(os.getpid(), "VmData"))
    return max(0, left)


def limit_own_memory(most: int) -> None:
    """Bound what this process, and each it starts, may allocate; more than that is refused.

    The bound is on private writable memory (Linux): a mapped file of weights is not counted, for
    the kernel can drop it. No core is dumped, and when the machine has no memory left all the same
    the kernel ends this process before any other.

    Args:
        most: bytes; 0 for no bound.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "linux":
        return
    if most:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_bytes(_MOST_KILLABLE)
