"""Laboratories of one session that lend each other the engine everything is held against."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_aprqa.engine.lent import BorrowedEngine, LentEngine, address_of
from pytest_aprqa.playbook.load import load_playbook
from pytest_aprqa.playbook.plan import make_plan
from pytest_aprqa.run.laboratory import Laboratory
from pytest_aprqa.run.settings import Settings
from pytest_aprqa.words import REFERENCE_ENGINE, Backend, Cell, Format

PLAYBOOK = """\
name: lending
version: "1.0.0"
model:
  hf_repo: aprqa/aprqa-reference
  builtin: aprqa-reference
  formats: [safetensors, gguf]
test_matrix:
  modalities: [run]
  backends: [cpu]
  prompts: ["What is 2+2?"]
metadata: {tier: mvp}
"""
GGUF = Cell(Format.GGUF, Backend.CPU)
LIMIT = 60.0


@pytest.fixture
def open_laboratory(tmp_path: Path) -> Iterator[Callable[[], Laboratory]]:
    """Return a function that opens laboratories of one session."""
    path = tmp_path / "lending.playbook.yaml"
    path.write_text(PLAYBOOK)
    plan = make_plan(load_playbook(path))
    address = address_of(uuid.uuid4().hex)
    opened = []

    def laboratory() -> Laboratory:
        settings = Settings(certifications=tmp_path, threads=1)
        opened.append(Laboratory(plan, path, settings, tmp_path, lending=address))
        return opened[-1]

    yield laboratory
    for one in opened:
        one.close()


def test_a_check_of_another_format_is_lent_the_reference(
    open_laboratory: Callable[[], Laboratory],
) -> None:
    lender, borrower = open_laboratory(), open_laboratory()
    lent = lender.engine(REFERENCE_ENGINE)
    assert isinstance(lent, LentEngine)
    with borrower.testing(GGUF):
        borrowed = borrower.engine(REFERENCE_ENGINE)
        assert isinstance(borrowed, BorrowedEngine)
        assert borrower.engine(REFERENCE_ENGINE) is borrowed
        assert not isinstance(borrower.engine(GGUF), BorrowedEngine)
        assert borrowed.load(LIMIT) == lent.load(LIMIT)


def test_a_check_of_the_reference_itself_has_an_engine_of_its_own(
    open_laboratory: Callable[[], Laboratory],
) -> None:
    lender, other = open_laboratory(), open_laboratory()
    lender.engine(REFERENCE_ENGINE)
    with other.testing(REFERENCE_ENGINE):
        own = other.engine(REFERENCE_ENGINE)
    assert isinstance(own, LentEngine)
    with other.testing(GGUF):
        assert other.engine(REFERENCE_ENGINE) is own, "what one has is not borrowed"


def test_what_is_found_out_on_the_way_does_not_change_what_is_tested(
    open_laboratory: Callable[[], Laboratory],
) -> None:
    lender, borrower = open_laboratory(), open_laboratory()
    lender.engine(REFERENCE_ENGINE)
    with borrower.testing(GGUF), borrower.testing(REFERENCE_ENGINE):
        assert isinstance(borrower.engine(REFERENCE_ENGINE), BorrowedEngine)


def test_without_a_lender_the_engine_is_ones_own(
    open_laboratory: Callable[[], Laboratory],
) -> None:
    alone = open_laboratory()
    with alone.testing(GGUF):
        assert isinstance(alone.engine(REFERENCE_ENGINE), LentEngine)
