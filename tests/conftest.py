"""What the tests of every layer share: one artifact cache, and no network."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_aprqa.engine.protocol import Endpoint

# A session that a test starts is no worker of this one, whatever this one is.
for _name in [name for name in os.environ if name.startswith("PYTEST_XDIST_")]:
    del os.environ[_name]


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Let Ctrl-C reach what tests start, also when this session runs in a shell's background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def artifact_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep conversions of a test session in a place of its own, shared by all its tests.

    Results are not kept: a test wants the engine to run.
    """
    cache = tmp_path_factory.getbasetemp().parent / "aprqa-artifacts"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APRQA_CACHE", str(cache))
        patch.setenv("APRQA_NO_RESULT_CACHE", "1")
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield cache


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], Endpoint]]:
    """Serve a model's GGUF with llama.cpp's own server."""
    from pytest_aprqa.engine.open import open_engine
    from pytest_aprqa.run.convert_file import convert_to
    from pytest_aprqa.run.facts import artifacts_at
    from pytest_aprqa.words import Backend

    engines = []

    def start(model: Path) -> Endpoint:
        gguf = tmp_path / f"{model.name}.gguf"
        convert_to(model, gguf, "Q8_0", force=False)
        [artifact] = artifacts_at(gguf)
        engine = open_engine(artifact, Backend.CPU, log_dir=tmp_path, threads=1)
        engines.append(engine)
        endpoint = engine.serve(60.0)
        monkeypatch.setenv("APRQA_API_KEY", endpoint.api_key)
        return endpoint

    yield start
    for engine in engines:
        engine.close()
