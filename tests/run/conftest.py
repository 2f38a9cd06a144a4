"""What tests of runs share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_aprqa.run.laboratory import Laboratory
from pytest_aprqa.run.planning import plan_playbook
from pytest_aprqa.run.settings import Settings


@pytest.fixture
def laboratory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Laboratory]:
    """The laboratory of the module's PLAYBOOK, with one thread and no kept results."""
    path = tmp_path / "tested.playbook.yaml"
    path.write_text(request.module.PLAYBOOK)
    settings = Settings(certifications=tmp_path, threads=1, result_cache=False)
    opened = Laboratory(plan_playbook(path, settings).plan, path, settings, tmp_path)
    yield opened
    opened.close()
