"""Oracles made of oracles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_aprqa.judge.oracles import OracleAnswer, Ruling

RIGHT, WRONG, NOT_APPLICABLE = Ruling.RIGHT, Ruling.WRONG, Ruling.NOT_APPLICABLE
Ask = Callable[..., OracleAnswer]

PARIS = {"type": "contains", "config": {"any": ["Paris"]}}
LYON = {"type": "contains", "config": {"any": ["Lyon"]}}
SUM = {"type": "arithmetic"}


@pytest.mark.parametrize(
    ("mode", "members", "ruling"),
    [
        ("all", [PARIS], RIGHT),
        ("all", [PARIS, LYON], WRONG),
        ("any", [PARIS, LYON], RIGHT),
        ("any", [LYON, LYON], WRONG),
        ("all", [PARIS, SUM], RIGHT),
        ("any", [LYON, SUM], WRONG),
        ("all", [SUM], NOT_APPLICABLE),
        ("any", [SUM, SUM], NOT_APPLICABLE),
        ("any", [{"type": "composite", "config": {"oracles": [PARIS]}}, LYON], RIGHT),
    ],
)
def test_a_composite_joins_its_members(
    ask: Ask, mode: str, members: list[Any], ruling: Ruling
) -> None:
    assert ask("composite", "It is Paris.", mode=mode, oracles=members).ruling is ruling
