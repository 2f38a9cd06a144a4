"""Engines stay loaded while memory lasts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import pytest_aprqa
from pytest_aprqa.artifact.digest import DigestCache
from pytest_aprqa.artifact.files import make_artifact
from pytest_aprqa.engine.open import open_engine
from pytest_aprqa.engine.protocol import Engine
from pytest_aprqa.run.engines import WarmEngines, memory_needed
from pytest_aprqa.words import Backend, Cell, Format

BUILTIN = Path(pytest_aprqa.__file__).parent / "builtin/aprqa-reference"
WEIGHTS = 10 << 30
KEYS = [Cell(format, Backend.CPU) for format in Format]


@pytest.fixture
def weights(tmp_path: Path) -> list[Path]:
    """A file as large as a real model's on which no disk is spent."""
    path = tmp_path / "model.safetensors"
    with path.open("wb") as file:
        file.truncate(WEIGHTS)
    return [path]


@pytest.fixture
def make(tmp_path: Path) -> Callable[[], Engine]:
    """Opens an engine on the model that ships; none of these is ever started."""
    artifact = make_artifact(
        Format.SAFETENSORS, BUILTIN, "builtin", DigestCache(tmp_path / "digests")
    )
    return lambda: open_engine(artifact, Backend.CPU, log_dir=tmp_path)


def test_all_stay_where_there_is_memory_for_all(
    make: Callable[[], Engine], weights: list[Path]
) -> None:
    engines = WarmEngines(budget=3 * memory_needed(WEIGHTS))
    for key in KEYS:
        engines.get(key, weights, make)
    assert list(engines) == KEYS


def test_the_one_unused_for_longest_goes_first(
    make: Callable[[], Engine], weights: list[Path]
) -> None:
    engines = WarmEngines(budget=2 * memory_needed(WEIGHTS))
    first, second, third = KEYS
    engines.get(first, weights, make)
    engines.get(second, weights, make)
    engines.get(first, weights, make)
    engines.get(third, weights, make)
    assert list(engines) == [first, third]


def test_two_may_stay_however_large_they_are(
    make: Callable[[], Engine], weights: list[Path]
) -> None:
    engines = WarmEngines(budget=1)
    for key in KEYS:
        engines.get(key, weights, make)
    assert list(engines) == KEYS[1:]


def test_an_engine_is_made_once(make: Callable[[], Engine]) -> None:
    engines = WarmEngines()
    assert engines.get(KEYS[0], [], make) is engines.get(KEYS[0], [], make)


def test_several_processes_share_the_machine(make: Callable[[], Engine]) -> None:
    alone, one_of_many = WarmEngines(), WarmEngines(laboratories=10_000)
    for key in KEYS:
        alone.get(key, [], make)
        one_of_many.get(key, [], make)
    assert len(list(alone)) >= len(list(one_of_many)) == 2
