"""The plan of each playbook of a session, made once a process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_aprqa.plugin.options import settings_of
from pytest_aprqa.run.planning import PlannedPlaybook, plan_playbook
from pytest_aprqa.run.settings import Settings


@dataclass
class Plans:
    """Plans by playbook, under the settings of one session."""

    settings: Settings
    known: dict[Path, PlannedPlaybook]

    def of(self, path: Path) -> PlannedPlaybook:
        """Return the plan of a playbook. Raises PlaybookError."""
        if path not in self.known:
            self.known[path] = plan_playbook(path, self.settings)
        return self.known[path]


_plans = pytest.StashKey[Plans]()


def plans_of(config: pytest.Config) -> Plans:
    """Return the plans of a session."""
    if _plans not in config.stash:
        config.stash[_plans] = Plans(settings_of(config), {})
    return config.stash[_plans]
