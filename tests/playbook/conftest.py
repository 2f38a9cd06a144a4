"""Playbooks written out in a test, and loaded from a file as a user's would be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from pytest_aprqa.playbook.load import LoadedPlaybook, PlaybookError, load_playbook

REPOSITORY = Path(__file__).parents[2]

MODEL = """\
name: sample
model:
  hf_repo: org/model
"""

Write = Callable[..., Path]
Load = Callable[..., LoadedPlaybook]
Problems = Callable[..., list[str]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file below the test's folder; the default name says no tier."""

    def write(text: str, name: str = "sample.playbook.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return write


@pytest.fixture
def load(write: Write) -> Load:
    """Load a playbook whose name and model are given, plus what the test adds."""

    def load(extra: str = "", name: str = "sample.playbook.yaml") -> LoadedPlaybook:
        return load_playbook(write(MODEL + extra, name))

    return load


@pytest.fixture
def problems(load: Load, tmp_path: Path) -> Problems:
    """Load a broken playbook; return what is said of it, without the folder."""

    def problems(extra: str = "", name: str = "sample.playbook.yaml") -> list[str]:
        with pytest.raises(PlaybookError) as caught:
            load(extra, name)
        return str(caught.value).replace(f"{tmp_path}/", "").splitlines()

    return problems


@pytest.fixture(scope="session")
def playbooks() -> Path:
    """The playbooks of the project."""
    return REPOSITORY / "playbooks"
