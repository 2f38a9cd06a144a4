from __future__ import annotations

from pathlib import Path

import pytest

from pytest_aprqa.artifact.prepare import Workshop
from pytest_aprqa.falsify.originals import Originals
from pytest_aprqa.playbook.model_spec import ModelSpec

MODEL = ModelSpec(hf_repo="aprqa/aprqa-reference", builtin="aprqa-reference")


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    cache = tmp_path_factory.mktemp("cache")
    return Workshop(MODEL, playbook_dir=cache, cache_dir=cache, offline=True)


@pytest.fixture(scope="session")
def originals(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Originals:
    root: Path = tmp_path_factory.mktemp("originals")
    return Originals(workshop, root)
