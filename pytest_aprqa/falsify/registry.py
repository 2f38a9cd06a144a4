"""All faults: those of this package and those that others register."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import entry_points

from pytest_aprqa.falsify import (
    config,
    container,
    dtype,
    engine,
    server,
    template,
    tokenizer,
    weights,
)
from pytest_aprqa.falsify.fault import Fault

ENTRY_POINTS = "pytest_aprqa.faults"
"""Group of entry points; each names a `Fault` or an iterable of them."""

_MODULES = (container, dtype, weights, config, tokenizer, template, engine, server)


def built_in_faults() -> tuple[Fault, ...]:
    """Return the faults of this package, family by family."""
    return tuple(fault for module in _MODULES for fault in module.fault.all)


def all_faults() -> tuple[Fault, ...]:
    """Return the faults of this package and those that others register.

    Raises:
        TypeError: an entry point names something else.
        ValueError: two faults have one id.
    """
    faults = list(built_in_faults())
    for entry in entry_points(group=ENTRY_POINTS):
        loaded = entry.load()
        more = tuple(loaded) if isinstance(loaded, Iterable) else (loaded,)
        if not all(isinstance(fault, Fault) for fault in more):
            raise TypeError(f"entry point {entry.name!r} of {ENTRY_POINTS} is no Fault")
        faults += more
    seen: set[str] = set()
    for fault in faults:
        if fault.id in seen:
            raise ValueError(f"two faults have the id {fault.id!r}")
        seen.add(fault.id)
    return tuple(faults)
