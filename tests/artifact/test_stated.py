"""What an artifact says is remembered as long as its files stay as they are."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from pytest_aprqa.artifact.file_state import settled_state
from pytest_aprqa.artifact.model import Artifact, ArtifactError
from pytest_aprqa.artifact.stated import stated_by

HOUR = 3600


@pytest.fixture
def artifact(tiny_models: Any, tmp_path: Path) -> Artifact:
    source = tiny_models.artifact("llama")
    for path in source.files:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    files = tuple(tmp_path / path.name for path in source.files)
    return Artifact(source.format, tmp_path, files, source.digest, "tests")


def age(artifact: Artifact) -> None:
    then = time.time() - HOUR
    for path in artifact.files:
        os.utime(path, (then, then))


def set_layers(artifact: Artifact, layers: int) -> None:
    path = artifact.path / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "num_hidden_layers": layers}))


def test_it_is_read_once_when_the_files_have_settled(artifact: Artifact) -> None:
    age(artifact)
    assert stated_by(artifact) is stated_by(artifact)


def test_a_changed_file_is_read_again(artifact: Artifact) -> None:
    age(artifact)
    assert stated_by(artifact).config.num_layers == 2
    set_layers(artifact, 7)
    assert stated_by(artifact).config.num_layers == 7


def test_a_file_that_was_just_written_is_not_trusted_to_stay(artifact: Artifact) -> None:
    assert settled_state(artifact.files) == ""
    assert stated_by(artifact) is not stated_by(artifact)


def test_what_is_gone_is_named(artifact: Artifact) -> None:
    (artifact.path / "config.json").unlink()
    with pytest.raises(ArtifactError, match="has no config"):
        stated_by(artifact)
