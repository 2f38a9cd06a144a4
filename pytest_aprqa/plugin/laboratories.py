"""The laboratory of a playbook in this process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_aprqa.engine.lent import address_of
from pytest_aprqa.plugin.plans import plans_of
from pytest_aprqa.plugin.stop import name_in_session
from pytest_aprqa.plugin.worker_input import DEVICE, RUN_ID, told
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
        lending=_lending(session.config, playbook),
    )


def _lending(config: pytest.Config, playbook: Path) -> str | None:
    """Return the address where the workers on this machine lend each other engines."""
    in_worker = told(config, RUN_ID) is not None
    return address_of(name_in_session(config, playbook)) if in_worker else None
