"""The laboratories of one process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_aprqa.plugin.plans import plans_of
from pytest_aprqa.plugin.worker_input import DEVICE, told
from pytest_aprqa.run.laboratory import Laboratory
from pytest_aprqa.run.planning import run_plan
from pytest_aprqa.run.resume import kept_in


class Laboratories:
    """One laboratory a playbook; only the one in use keeps its engines."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        if device := told(config, DEVICE):
            os.environ["CUDA_VISIBLE_DEVICES"] = device
        self._open: dict[Path, Laboratory] = {}

    def of(self, item: pytest.Item) -> Laboratory:
        """Return the laboratory of an item's playbook; the engines of others are ended."""
        if item.path not in self._open:
            self.close()
            plans = plans_of(self._config)
            planned = plans.of(item.path)
            journal = planned.journal_of(_selected(item.session, item.path))
            self._open[item.path] = Laboratory(
                planned.plan,
                item.path,
                plans.settings,
                planned.output,
                journal=journal,
                kept=kept_in(journal, run_plan(planned)) if plans.settings.resume else None,
            )
        return self._open[item.path]

    def close(self) -> None:
        """End every engine."""
        for laboratory in self._open.values():
            laboratory.close()
        self._open.clear()


def _selected(session: pytest.Session, playbook: Path) -> set[str]:
    return {item.name for item in session.items if item.path == playbook}
