"""What a playbook's assertions mean for each measurement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_aprqa.words import Backend

if TYPE_CHECKING:
    from pytest_aprqa.playbook.profile import Assertions

_MS = 1000.0


def bounds_of(assertions: Assertions, subject: str, backend: Backend) -> dict[str, float]:
    """Return the bounds of one measurement, in its own unit.

    Returns:
        `minimum` or `maximum`, or neither. Seconds for load-time, time-to-first-token and the
        latencies, tokens a second for decode-rate, MiB for peak-memory.
    """
    stated: dict[str, float | None]
    match subject:
        case "load-time":
            stated = {"maximum": _seconds(assertions.max_load_ms)}
        case "time-to-first-token":
            stated = {"maximum": _seconds(assertions.max_ttft_ms)}
        case "latency-p50":
            stated = {"maximum": _seconds(assertions.max_p50_ms)}
        case "latency-p99":
            stated = {"maximum": _seconds(assertions.max_p99_ms)}
        case "decode-rate":
            stated = {"minimum": assertions.throughput_on(backend) or None}
        case _:
            stated = {"maximum": assertions.max_memory_mb}
    return {name: bound for name, bound in stated.items() if bound is not None}


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / _MS
