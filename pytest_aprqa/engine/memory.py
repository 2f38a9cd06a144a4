"""Peak resident memory of a process."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path


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
