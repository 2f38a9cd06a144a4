from __future__ import annotations

from pathlib import Path

import pytest

from pytest_aprqa.fleet.registry import REGISTRY, StagedRegistry
from pytest_aprqa.registry.models_csv import read_rows, update_row
from pytest_aprqa.registry.readme import END, START
from pytest_aprqa.registry.row import RegistryRow


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    path = tmp_path / REGISTRY
    for name in ("org/old", "org/other"):
        update_row(path, RegistryRow(model_id=name, status="PENDING"))
    return path


def test_rows_wait_for_the_end_of_the_fleet(registry: Path, tmp_path: Path) -> None:
    before = registry.read_bytes()
    with StagedRegistry(registry) as staged:
        update_row(staged.folder / REGISTRY, RegistryRow(model_id="org/old", status="CERTIFIED"))
        update_row(staged.folder / REGISTRY, RegistryRow(model_id="org/new", status="BLOCKED"))
        assert registry.read_bytes() == before
        staged.publish(tmp_path / "README.md")
        assert not (tmp_path / "README.md").exists()
    assert {row.model_id: row.status for row in read_rows(registry)} == {
        "org/old": "CERTIFIED",
        "org/other": "PENDING",
        "org/new": "BLOCKED",
    }
    assert not staged.folder.exists()


def test_what_others_wrote_meanwhile_stays(registry: Path, tmp_path: Path) -> None:
    with StagedRegistry(registry) as staged:
        update_row(staged.folder / REGISTRY, RegistryRow(model_id="org/old", status="CERTIFIED"))
        update_row(registry, RegistryRow(model_id="org/other", status="BLOCKED"))
        staged.publish(tmp_path / "README.md")
    assert {row.model_id: row.status for row in read_rows(registry)} == {
        "org/old": "CERTIFIED",
        "org/other": "BLOCKED",
    }


def test_the_readme_shows_what_was_written(registry: Path, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"# Models\n{START}\n{END}\n", encoding="utf-8")
    with StagedRegistry(registry) as staged:
        update_row(staged.folder / REGISTRY, RegistryRow(model_id="org/new", status="BLOCKED"))
        staged.publish(readme)
    assert "org/new" in readme.read_text("utf-8")


def test_a_fleet_may_begin_without_a_registry(tmp_path: Path) -> None:
    with StagedRegistry(tmp_path / REGISTRY) as staged:
        staged.publish(tmp_path / "README.md")
    assert not (tmp_path / REGISTRY).exists()
