"""The laboratory of a playbook in this process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_aprqa.plugin.plans import plans_of
from pytest_aprqa.plugin.worker_input import DEVICE, told
from pytest_aprqa.run.laboratory import Laboratory
from pytest_aprqa.run.planning import run_plan
from pytest_aprqa.run.resume import kept_in


def open_laboratory(session: pytest.Session, playbook: Path) -> Laboratory:
    """Return a fresh laboratory for the selected checks of a playbook, on the GPU of this worker."""
    if device := told(session.config, DEVICE):
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    plans = plans_of(session.config)
    planned = plans.of(playbook)
    journal = planned.journal_of({i.name for i in session.items if i.path == playbook})
    return Laboratory(
        planned.plan,
        playbook,
        plans.settings,
        planned.output,
        journal=journal,
        kept=kept_in(journal, run_plan(planned)) if plans.settings.resume else None,
    )
