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
_MOST_KILLABLE = b"1000"


def peak_of(pid: int) -> int:
    """Return the peak resident bytes of a live process, 0 when it cannot be told.

    On Linux from VmHWM: unlike `getrusage` it does not inherit the peak of the process that
    started this one.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    kib = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")), "0")
    return int(kib) * 1024


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
