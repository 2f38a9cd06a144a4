"""Artifacts are prepared while an engine answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_aprqa.artifact.prepare import Workshop
from pytest_aprqa.playbook.model_spec import ModelSpec
from pytest_aprqa.run.ahead import Ahead
from pytest_aprqa.words import Cell, Format


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    model = ModelSpec(hf_repo="aprqa/aprqa-reference", builtin="aprqa-reference")
    return Workshop(model, playbook_dir=tmp_path, cache_dir=tmp_path / "cache")


def test_every_format_is_ready_after_the_wait(workshop: Workshop) -> None:
    ahead = Ahead(workshop, tuple(map(Cell, Format)))
    ahead.start()
    ahead.start()
    ahead.wait()
    assert [workshop.known(form) is not None for form in Format] == [True] * 3


def test_nothing_is_prepared_before_the_start(workshop: Workshop) -> None:
    ahead = Ahead(workshop, tuple(map(Cell, Format)))
    ahead.wait()
    assert workshop.known(Format.APR) is None


def test_one_that_cannot_be_made_is_met_by_whoever_asks(tmp_path: Path) -> None:
    model = ModelSpec(hf_repo="aprqa/nowhere", local_path="nowhere")
    workshop = Workshop(model, playbook_dir=tmp_path, cache_dir=tmp_path / "cache", offline=True)
    ahead = Ahead(workshop, tuple(map(Cell, Format)))
    ahead.start()
    ahead.wait()
    assert workshop.known(Format.SAFETENSORS) is None
