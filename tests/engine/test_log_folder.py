from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_aprqa.engine.log_folder import LogFolder, sweep

_KILLED = """
import os
from pytest_aprqa.engine.log_folder import LogFolder
folder = LogFolder()
(folder.path / "engine.log").write_text("words")
print(folder.path, flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


def test_a_folder_goes_with_its_content_and_leaves_nothing(root: Path) -> None:
    folder = LogFolder()
    (folder.path / "engine.log").write_text("words")
    folder.close()
    folder.close()
    assert not list(root.iterdir())


def test_what_a_killed_process_left_is_swept_and_what_is_in_use_is_not(root: Path) -> None:
    used = LogFolder()
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED], check=False, stdout=subprocess.PIPE, text=True
    )
    left = Path(killed.stdout.strip())
    assert left.is_dir()
    sweep()
    assert not left.exists()
    assert used.path.is_dir()
    used.close()


def test_the_next_folder_sweeps_too(root: Path) -> None:
    subprocess.run([sys.executable, "-c", _KILLED], check=False, stdout=subprocess.DEVNULL)
    assert len(list(root.iterdir())) == 1
    folder = LogFolder()
    assert list(root.iterdir()) == [folder.path]
    folder.close()
