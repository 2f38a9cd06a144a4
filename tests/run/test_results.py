"""What a result that is kept follows from."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_aprqa.run.results import tree_digest


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name in ("judge/table.bin", "report.html.j2", "run/check.py", "builtin/model.gguf"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"before")
    return tmp_path


@pytest.mark.parametrize("name", ["judge/table.bin", "report.html.j2", "run/check.py"])
def test_a_change_to_any_file_of_the_package_makes_results_anew(package: Path, name: str) -> None:
    before = tree_digest(package)
    (package / name).write_bytes(b"later!")
    assert tree_digest(package) != before


def test_a_file_of_another_name_makes_results_anew(package: Path) -> None:
    before = tree_digest(package)
    (package / "run/check.py").rename(package / "run/checks.py")
    assert tree_digest(package) != before


@pytest.mark.parametrize("name", ["builtin/model.gguf", "__pycache__/check.pyc"])
def test_shipped_models_and_compiled_code_are_no_part_of_it(package: Path, name: str) -> None:
    before = tree_digest(package)
    (package / name).parent.mkdir(exist_ok=True)
    (package / name).write_bytes(b"later!")
    assert tree_digest(package) == before
