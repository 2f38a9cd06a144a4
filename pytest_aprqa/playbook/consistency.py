"""What a playbook must hold beyond the form of its fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pytest_aprqa.playbook.errors import FieldPath, dotted
from pytest_aprqa.playbook.falsification import unreadable
from pytest_aprqa.playbook.inert import StateMachine
from pytest_aprqa.playbook.oracles import Oracle
from pytest_aprqa.playbook.profile import ProfileCi
from pytest_aprqa.playbook.prompts import EDGE_NAMES
from pytest_aprqa.playbook.quantizations import unclear
from pytest_aprqa.playbook.schema import Playbook

CheckOracle = Callable[[str, Mapping[str, Any]], None]
"""Raises ValueError, saying why, when there is no oracle of that type with that configuration."""

FEWEST_FOR_A_MEDIAN = 5
"""Of so many generations all take longer than the true median by chance in 1 of 32 cases."""

Inconsistency = tuple[FieldPath, str]
"""A field, and what is wrong with it."""


def inconsistencies(
    playbook: Playbook, check_oracle: CheckOracle | None
) -> Iterator[Inconsistency]:
    """Find what no field shows by itself: names given twice, files and conditions of no clear meaning.

    When told how, also oracles that do not exist or cannot be made.
    """
    yield from _names(playbook)
    yield from _median(playbook.profile_ci)
    yield from unclear(playbook.model)
    yield from unreadable(playbook)
    yield from _states(playbook.state_machine)
    if check_oracle:
        for field, oracle in _oracles(playbook):
            try:
                check_oracle(oracle.type, oracle.config)
            except ValueError as error:
                yield field, str(error)


def _median(profile: ProfileCi) -> Iterator[Inconsistency]:
    if profile.assertions.max_p50_ms is not None and profile.measure < FEWEST_FOR_A_MEDIAN:
        reason = (
            f"{profile.measure} generations cannot refute a median; "
            f"let profile_ci.measure be {FEWEST_FOR_A_MEDIAN} or more"
        )
        yield ("profile_ci", "assertions", "max_p50_ms"), reason


def _states(machine: StateMachine | None) -> Iterator[Inconsistency]:
    """Find states that are named and not there."""
    if machine is None:
        return
    known = tuple(machine.states)
    for field, name in machine.mentioned():
        if name not in known:
            yield (
                ("state_machine", *field),
                f"there is no state {name!r}; there are {', '.join(known) or 'none'}",
            )


def _names(playbook: Playbook) -> Iterator[Inconsistency]:
    taken: dict[str, str] = {}
    for field, name, _ in playbook.named_prompts():
        if name in taken:
            yield field, f"the name {name!r} is taken by {taken[name]}"
        if name in EDGE_NAMES:
            yield field, f"the name {name!r} is taken by the edge case of that name"
        taken[name] = dotted(field)


def _oracles(playbook: Playbook) -> Iterator[tuple[FieldPath, Oracle]]:
    for place, oracle in enumerate(playbook.oracles):
        yield ("oracles", place), oracle
    for field, _, entry in playbook.named_prompts():
        for place, oracle in enumerate(entry.oracles or ()):
            yield (*field, "oracles", place), oracle
