"""How long OpenMP threads of an engine wait by spinning, by how busy the machine is."""

from __future__ import annotations

import re
from pathlib import Path

_PRESSURE = Path("/proc/pressure/cpu")
_SHARE_WAITING = re.compile(r"^some avg10=([\d.]+)", re.MULTILINE)

BUSY = 25.0
"""Per cent of the last ten seconds in which some task had to wait for a core."""

SPINS = 20_000
"""Turns, some tens of microseconds. Measured with llama.cpp on two cores, tokens a second: idle 117 against 33
without spinning, on cores that others use 10 against 40; spinning without end gave 2 there."""


def spins() -> int:
    """Return the turns a thread waits before it sleeps: none where it would hold up another."""
    return 0 if cpu_pressure() > BUSY else SPINS


def cpu_pressure() -> float:
    """Return the share of time in which a task waited for a core, in per cent.

    0 where the kernel does not tell (its pressure stall information is off, or no Linux).
    """
    try:
        told = _SHARE_WAITING.search(_PRESSURE.read_text(encoding="ascii"))
    except OSError:
        return 0.0
    return float(told[1]) if told else 0.0
