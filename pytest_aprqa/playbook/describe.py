"""A plan as text, for people who want to know before anything runs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_aprqa.playbook.check import CheckKind
from pytest_aprqa.playbook.tiers import TIERS
from pytest_aprqa.words import Category

if TYPE_CHECKING:
    from pytest_aprqa.playbook.plan import Plan

CHARACTERS_A_TOKEN = 4
"""Of English text, about; only for estimates."""


def engine_tokens(plan: Plan) -> int:
    """Estimate the tokens engines read and write for the scenarios of a plan, at most."""
    asked = [check.scenario for check in plan.checks if check.scenario]
    generated: int = sum(
        check.params["count"] * 2 * check.params["max_tokens"]
        for check in plan.checks
        if check.kind is CheckKind.PROPERTY
    )
    return generated + sum(s.max_tokens + len(s.prompt) // CHARACTERS_A_TOKEN for s in asked)


def describe(plan: Plan) -> str:
    """Return what a plan tests, how often, and how far it falls short of its tier."""
    return "\n".join([*_head(plan), "", *_categories(plan), "", *_cells(plan), *_tail(plan)])


def _head(plan: Plan) -> list[str]:
    low, high = TIERS[plan.tier].minutes
    how = "cpu only" if plan.cpu_only else ", ".join(plan.backends)
    return [
        f"{plan.playbook}: {plan.model.hf_repo}, {how}, failure policy {plan.failure_policy}",
        f"tier {plan.tier}: about {low:g} to {high:g} minutes, passed from {plan.threshold} points",
        f"{len(plan.checks)} checks, {len(plan.scenarios)} of them scenarios",
        f"{plan.distinct_prompts} distinct prompts, about {engine_tokens(plan)} tokens",
    ]


def _categories(plan: Plan) -> list[str]:
    counts = Counter(check.category for check in plan.checks)
    parts = [f"{category} {counts[category]}" for category in Category if counts[category]]
    return ["  ".join([f"gateways {counts[None]}", *parts])]


def _cells(plan: Plan) -> list[str]:
    counts = Counter(str(check.cell) or "whole run" for check in plan.checks)
    width = max(map(len, counts))
    return [f"  {cell:<{width}}  {count:>5}" for cell, count in counts.items()]


def _tail(plan: Plan) -> list[str]:
    lines = [f"  {sentence}" for sentence in plan.shortfall]
    lines += [f"  {notice}" for notice in plan.notices]
    return ["", *lines] if lines else []
