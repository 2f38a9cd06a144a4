"""Engines get no secrets, no more memory than they may have, and no endless number of starts."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_aprqa.artifact.model import Artifact
from pytest_aprqa.engine.host import MOST_DEATHS
from pytest_aprqa.engine.open import open_engine
from pytest_aprqa.engine.protocol import Engine, EngineError, Fault
from pytest_aprqa.words import Backend, Format

SECRETS = {
    "HF_TOKEN": "hf_kJ3xUq9vTz",
    "HUGGING_FACE_HUB_TOKEN": "hf_Wm81Lp0cRd",
    "AWS_SECRET_ACCESS_KEY": "aws+Yt5Bn2Qs7e",
    "APRQA_API_KEY": "sk-Ze4Hc6Vf1g",
    "HTTPS_PROXY": "http://user:pw-Oa9Xi3@127.0.0.1:9",
}
LIMIT = 60.0


@pytest.fixture
def open_with(model: Path, tmp_path: Path) -> Callable[..., Engine]:
    """Return a function that opens an engine on the reference model."""
    artifact = Artifact(Format.GGUF, model, (model,), "0" * 64, "tests")

    def opened(memory: int | None = None) -> Engine:
        return open_engine(artifact, Backend.CPU, log_dir=tmp_path, threads=1, memory=memory)

    return opened


def test_no_secret_is_in_evidence_logs_reports_or_on_the_terminal(
    make_folder: Callable[[str], Any], model: Path
) -> None:
    folder = make_folder("-n0")
    shutil.copy(model, folder.path / "model.gguf")
    folder.write("plain", Path("model.gguf"), scenarios=("segfault",))
    ended = folder.run(
        "--failure-policy=fail-fast", "--junitxml=out.xml", "--html=out.html", **SECRETS
    )
    assert ended.status == 1
    written = [path for path in folder.path.rglob("*") if path.is_file() and path.suffix != ".gguf"]
    assert {path.name for path in written} >= {"engine.log", "evidence.json", "report.html"}
    said = {str(path): path.read_bytes() for path in written} | {
        "terminal": ended.terminal.encode()
    }
    for place, content in said.items():
        for name, secret in SECRETS.items():
            assert secret.encode() not in content, (name, place)


def test_an_engine_that_needs_more_memory_than_it_may_have_is_no_fault_of_the_model(
    open_with: Callable[..., Engine],
) -> None:
    engine = open_with(memory=32 << 20)
    with pytest.raises(EngineError) as caught:
        engine.load(LIMIT)
    engine.close()
    assert caught.value.fault in (Fault.ENVIRONMENT, Fault.CRASH)


def test_an_engine_that_dies_again_and_again_is_given_up(
    open_with: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")  # no Python begins there
    engine = open_with()
    for _ in range(MOST_DEATHS):
        with pytest.raises(EngineError) as caught:
            engine.load(LIMIT)
        assert caught.value.fault is Fault.CRASH
    with pytest.raises(EngineError, match=f"died {MOST_DEATHS} times in a row") as caught:
        engine.load(LIMIT)
    assert caught.value.fault is Fault.GIVEN_UP
    engine.close()
