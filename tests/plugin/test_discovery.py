"""Test discovery as editors do it: collect only, with node ids and locations."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DISCOVER = """
import json, os, pytest

def pytest_collection_finish(session):
    found = [
        {
            "id": item.nodeid,
            "path": str(item.path),
            "line": item.location[1],
            "file": isinstance(item.parent, pytest.Module),
            "test": isinstance(item, pytest.Function),
        }
        for item in session.items
    ]
    with open(os.environ["DISCOVERED"], "w") as file:
        json.dump(found, file)
"""
"""What the plugins of editors look at: id, file, line, and the kinds of the nodes."""


@pytest.fixture(scope="module")
def discovered(tmp_path_factory):
    """Everything that is collected from the playbooks of this repository."""
    folder = tmp_path_factory.mktemp("editor")
    (folder / "discover.py").write_text(DISCOVER)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-qq", "-p", "discover", "playbooks/"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(folder), "DISCOVERED": str(folder / "found.json")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return json.loads((folder / "found.json").read_text())


def test_every_playbook_of_the_repository_is_discovered(discovered):
    playbooks = {str(path) for path in (ROOT / "playbooks").rglob("*.playbook.yaml")}
    assert len(playbooks) >= 120
    assert {one["path"] for one in discovered} == playbooks


def test_every_check_has_an_id_of_its_own_and_a_line_in_its_file(discovered):
    assert len({one["id"] for one in discovered}) == len(discovered)
    lines = {
        path: len(Path(path).read_text().splitlines()) for path in {d["path"] for d in discovered}
    }
    for one in discovered:
        assert one["id"].startswith(Path(one["path"]).relative_to(ROOT).as_posix() + "::")
        assert 0 <= one["line"] < lines[one["path"]]


def test_nodes_are_of_the_kinds_that_editors_know(discovered):
    assert {(one["file"], one["test"]) for one in discovered} == {(True, True)}
