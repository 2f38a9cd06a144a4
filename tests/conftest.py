"""What the tests of every layer share: one artifact cache, and no network."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest


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
