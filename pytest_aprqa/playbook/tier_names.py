"""The names by which a playbook says its tier."""

from __future__ import annotations

from pytest_aprqa.words import Tier

TIER_NAMES: dict[str, Tier] = {
    **{tier.value: tier for tier in Tier},
    "ci": Tier.QUICK,
    "nightly": Tier.STANDARD,
    "full": Tier.DEEP,
    "release": Tier.DEEP,
}
"""Tier names, and the other suffixes in use, by what they ask for."""


def tier_of_stem(stem: str) -> Tier | None:
    """Return the tier that a file name says by its last part: `qwen-1.5b-mvp` is mvp."""
    return TIER_NAMES.get(stem.removesuffix(".playbook").rpartition("-")[2])
