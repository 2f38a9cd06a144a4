"""`--aprqa-plan`: show what would run and what it could prove, and run nothing."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_aprqa.judge.statistics import proven_pass_rate
from pytest_aprqa.playbook.plan import Plan
from pytest_aprqa.plugin.collect import PlaybookItem
from pytest_aprqa.plugin.plans import plans_of


def show_plans(session: pytest.Session) -> None:
    """Print the plan of every playbook with a selected check."""
    terminal: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    selected: dict[Path, list[PlaybookItem]] = defaultdict(list)
    for item in session.items:
        if isinstance(item, PlaybookItem):
            selected[item.path].append(item)
    for path, items in selected.items():
        planned = plans_of(session.config).of(path)
        plan = replace(planned.plan, checks=tuple(item.check for item in items))
        terminal.section(f"plan of {plan.model.hf_repo}")
        terminal.write_line(plan.describe())
        terminal.write_line(_proof(plan))


def _proof(plan: Plan) -> str:
    prompts = plan.distinct_prompts
    if not prompts:
        return "No question is asked, so nothing is proven about answers."
    least = proven_pass_rate(prompts, prompts)
    return (
        f"If all {prompts} distinct prompts pass in every cell, that proves a pass rate >= "
        f"{least:.3f} at 95 %."
    )
