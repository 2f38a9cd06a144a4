from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_aprqa.engine.devices import gpu_reason

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for Linux devices")


@pytest.fixture(autouse=True)
def _asked_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    gpu_reason.cache_clear()
    yield
    gpu_reason.cache_clear()


def nvidia_smi(directory: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = directory / "nvidia-smi"
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(directory), prepend=":")


def test_a_listed_gpu_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia_smi(tmp_path, "echo 'GPU 0: NVIDIA A100 (UUID: GPU-1)'", monkeypatch)
    assert gpu_reason() is None


def test_the_words_of_a_driver_that_fails_are_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvidia_smi(tmp_path, "echo 'NVIDIA-SMI has failed: no driver'; exit 9", monkeypatch)
    assert "NVIDIA-SMI has failed: no driver" in (gpu_reason() or "")


@pytest.mark.parametrize("value", ["", "-1"])
def test_a_gpu_that_is_hidden_is_not_there(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvidia_smi(tmp_path, "echo 'GPU 0: NVIDIA A100'", monkeypatch)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert gpu_reason() == f"CUDA_VISIBLE_DEVICES={value!r} hides every GPU"


def test_asking_loads_no_engine() -> None:
    code = (
        "import sys, pytest_aprqa.engine.open, pytest_aprqa.engine.devices as d; d.gpu_reason();"
        "print({'torch', 'transformers', 'xllamacpp', 'gguf', 'scipy', 'httpx'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
