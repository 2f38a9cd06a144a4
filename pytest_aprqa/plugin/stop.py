"""The failure policies: when the checks that have not run yet are given up.

The signal is a file, so that the workers of one machine see each other's failures at once.
"""

from __future__ import annotations

import tempfile
import uuid
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from pytest_aprqa.plugin.plans import plans_of
from pytest_aprqa.plugin.worker_input import RUN_ID, told
from pytest_aprqa.run.policy import stop_reason
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.words import FailurePolicy

_run_id = pytest.StashKey[str]()


def run_id(config: pytest.Config) -> str:
    """Return the id that every process of a session shares."""
    if _run_id not in config.stash:
        config.stash[_run_id] = told(config, RUN_ID) or uuid.uuid4().hex
    return config.stash[_run_id]


@dataclass(frozen=True)
class StopSignal:
    """Whether a playbook's run is to stop, and why."""

    path: Path
    policy: FailurePolicy

    def consider(self, evidence: Evidence) -> None:
        """Stop the run if the policy says so after this record."""
        if reason := stop_reason(self.policy, evidence):
            self.path.write_text(reason, encoding="utf-8")

    def reason(self) -> str:
        """Return why the run was stopped, or an empty string."""
        try:
            return self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def clear(self) -> None:
        """Forget the signal."""
        self.path.unlink(missing_ok=True)


def stop_signal(config: pytest.Config, playbook: Path) -> StopSignal:
    """Return the stop signal of a playbook in this session."""
    path = Path(tempfile.gettempdir(), f"aprqa-{name_in_session(config, playbook)}.stop")
    return StopSignal(path, plans_of(config).of(playbook).failure_policy)


def name_in_session(config: pytest.Config, playbook: Path) -> str:
    """Return a name for what the processes of this session share about a playbook."""
    return f"{run_id(config)}-{sha256(str(playbook).encode()).hexdigest()[:16]}"
