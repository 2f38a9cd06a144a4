"""What a playbook must hold beyond the form of its fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pytest_aprqa.playbook.errors import FieldPath, dotted
from pytest_aprqa.playbook.oracles import Oracle
from pytest_aprqa.playbook.prompts import EDGE_NAMES
from pytest_aprqa.playbook.schema import Playbook

CheckOracle = Callable[[str, Mapping[str, Any]], None]
"""Raises ValueError, saying why, when there is no oracle of that type with that configuration."""

Inconsistency = tuple[FieldPath, str]
"""A field, and what is wrong with it."""


def inconsistencies(
    playbook: Playbook, check_oracle: CheckOracle | None
) -> Iterator[Inconsistency]:
    """Find names given twice and, when told how, oracles that do not exist or cannot be made."""
    yield from _names(playbook)
    if check_oracle:
        for field, oracle in _oracles(playbook):
            try:
                check_oracle(oracle.type, oracle.config)
            except ValueError as error:
                yield field, str(error)


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
