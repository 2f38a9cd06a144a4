"""What tests of runs share."""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from pytest_aprqa.engine.host import HostedEngine
from pytest_aprqa.engine.protocol import Request
from pytest_aprqa.observation import Generation
from pytest_aprqa.run.laboratory import Laboratory
from pytest_aprqa.run.planning import plan_playbook
from pytest_aprqa.run.settings import Settings

BUILTIN = Path(__file__).parents[2] / "pytest_aprqa" / "builtin" / "aprqa-reference"
DAMAGED = "model.layers.2.mlp.down_proj.weight"

Meddle = Callable[[HostedEngine, Sequence[Request]], None]


@pytest.fixture
def upside_down(tmp_path: Path) -> Path:
    """Return the shipped model with one matrix, of layer 2, upside down."""
    other = Path(shutil.copytree(BUILTIN, tmp_path / "other"))
    weights = other / "model.safetensors"
    content = bytearray(weights.read_bytes())
    (size,) = struct.unpack("<Q", content[:8])
    about = json.loads(content[8 : 8 + size])[DAMAGED]
    begin, end = (8 + size + offset for offset in about["data_offsets"])
    width = (end - begin) // about["shape"][0]
    rows = [bytes(content[at : at + width]) for at in range(begin, end, width)]
    content[begin:end] = b"".join(reversed(rows))
    weights.write_bytes(content)
    return other


@pytest.fixture
def laboratory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Laboratory]:
    """The laboratory of the module's PLAYBOOK, with one thread and no kept results."""
    path = tmp_path / "tested.playbook.yaml"
    path.write_text(request.module.PLAYBOOK)
    settings = Settings(certifications=tmp_path, threads=1, result_cache=False)
    opened = Laboratory(plan_playbook(path, settings).plan, path, settings, tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def before_a_batch(monkeypatch: pytest.MonkeyPatch) -> Callable[[Meddle], None]:
    """Return a function that lets something happen to an engine when scenarios are asked of it."""

    def arrange(meddle: Meddle) -> None:
        generate = HostedEngine.generate

        def meddled(
            engine: HostedEngine, requests: Sequence[Request], timeout: float
        ) -> list[Generation]:
            meddle(engine, requests)
            return generate(engine, requests, timeout)

        monkeypatch.setattr(HostedEngine, "generate", meddled)

    return arrange


@pytest.fixture
def kill() -> Callable[[HostedEngine], None]:
    """Return what ends an engine's real process by a signal that a fault of its own would send."""

    def end(engine: HostedEngine) -> None:
        assert engine._process is not None
        os.kill(engine._process.pid, signal.SIGSEGV)
        while engine._process.running():
            pass

    return end
