"""`--aprqa-plan`: show what would run and what it could prove, and run nothing."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_aprqa.judge.statistics import proven_pass_rate, sequential_lower_bound
from pytest_aprqa.playbook.plan import Plan
from pytest_aprqa.plugin.collect import PlaybookItem
from pytest_aprqa.plugin.plans import plans_of
from pytest_aprqa.run.early_stop import EarlyStop


def show_plans(session: pytest.Session) -> None:
    """Print the plan of every playbook with a selected check."""
    terminal: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    selected: dict[Path, list[PlaybookItem]] = defaultdict(list)
    for item in session.items:
        if isinstance(item, PlaybookItem):
            selected[item.path].append(item)
    plans = plans_of(session.config)
    for path, items in selected.items():
        planned = plans.of(path)
        plan = replace(planned.plan, checks=tuple(item.check for item in items))
        terminal.section(f"plan of {plan.model.hf_repo}")
        terminal.write_line(plan.describe())
        terminal.write_line(_proof(plan, early_stop=plans.settings.early_stop))


def _proof(plan: Plan, *, early_stop: bool) -> str:
    """Say what the run proves at best, by the bound that its certificate will state."""
    prompts = plan.distinct_prompts
    if not prompts:
        return "No question is asked, so nothing is proven about answers."
    asked = tuple(EarlyStop(plan.tier, enabled=early_stop).asked_at_best(plan.checks))
    if len(asked) < len(plan.checks):
        prompts = replace(plan, checks=asked).distinct_prompts
        least = sequential_lower_bound(prompts, prompts)
        return (
            f"If every answer is right, each cell stops early; {prompts} distinct prompts are asked "
            f"then, and prove a pass rate >= {least:.3f} at 95 %."
        )
    least = proven_pass_rate(prompts, prompts)
    return (
        f"If all {prompts} distinct prompts pass in every cell, that proves a pass rate >= "
        f"{least:.3f} at 95 %."
    )
