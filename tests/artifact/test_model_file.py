"""Files of a model that are none: pipes, devices, holes of gigabytes, links to elsewhere."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_aprqa.artifact.check import check_artifact
from pytest_aprqa.artifact.config_hf import read_hf_config
from pytest_aprqa.artifact.digest import DigestCache
from pytest_aprqa.artifact.files import COMPANIONS, make_artifact
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.model_directory import MANIFEST, look_at
from pytest_aprqa.artifact.model_file import MOST_TEMPLATE_BYTES, read_text, read_whole
from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.artifact.template import render
from pytest_aprqa.words import Format

WEIGHTS = "model.safetensors"


@pytest.fixture
def model(tiny_models: Any, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_models.directory / "llama", tmp_path / "folder" / "model"))


def found(model: Path) -> Any:
    return make_artifact(Format.SAFETENSORS, model, "tests", DigestCache())


def pipe(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    path.mkdir()


def elsewhere(path: Path) -> None:
    outside = path.parent.parent / f"outside-{path.name}"
    outside.write_bytes(b"{}")
    path.symlink_to(outside)


def hole(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(400 << 20)


KINDS: dict[Callable[[Path], None], str] = {
    pipe: "is not a regular file",
    endless: "is a link that leads out of the model, to /dev/zero",
    folder: "is a directory where a file is expected",
    elsewhere: "is a link that leads out of the model",
    hole: "bytes long, a sound one is never longer than",
}
CASES = [
    *((kind, name) for kind in KINDS for name in COMPANIONS),
    *((kind, WEIGHTS) for kind in KINDS if kind is not hole),
]


@pytest.mark.parametrize(("kind", "name"), CASES, ids=lambda case: getattr(case, "__name__", case))
def test_what_is_no_file_of_the_model_is_refused_before_it_is_read(
    model: Path, kind: Callable[[Path], None], name: str
) -> None:
    (model / name).unlink(missing_ok=True)
    kind(model / name)
    with pytest.raises(ArtifactError) as caught:
        found(model)
    assert (caught.value.fault, caught.value.rule) == (ArtifactFault.MALFORMED, "G0-FILE")
    assert caught.value.message.startswith(f"{name}: ")
    assert KINDS[kind] in caught.value.message
    assert look_at(model, "tests", {})[Format.SAFETENSORS].path == model


@pytest.mark.parametrize("kind", [pipe, endless, elsewhere, hole])
@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"]
)
def test_a_file_that_was_replaced_since_is_a_finding(
    model: Path, kind: Callable[[Path], None], name: str
) -> None:
    artifact = found(model)
    (model / name).unlink(missing_ok=True)
    kind(model / name)
    assert [finding.rule for finding in check_artifact(artifact).errors] == ["G0-FILE"]


@pytest.mark.parametrize("kind", [pipe, endless, elsewhere])
def test_weights_that_were_replaced_since_are_a_finding(
    model: Path, kind: Callable[[Path], None]
) -> None:
    artifact = found(model)
    (model / WEIGHTS).unlink()
    kind(model / WEIGHTS)
    assert {finding.rule for finding in check_artifact(artifact).errors} == {"G0-FILE"}


@pytest.mark.parametrize("suffix", ["gguf", "apr"])
def test_weights_that_never_end_are_not_hashed(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model.{suffix}"
    path.symlink_to("/dev/zero")
    with pytest.raises(ArtifactError, match=f"model.{suffix}: is not a regular file"):
        make_artifact(Format(suffix), path, "tests", DigestCache())


def test_a_manifest_that_is_a_pipe_is_refused(model: Path) -> None:
    pipe(model / MANIFEST)
    with pytest.raises(ArtifactError, match="SHA256SUMS: is not a regular file"):
        look_at(model, "tests", {})


def test_a_hub_cache_links_to_its_blobs_whatever_leads_to_it(model: Path, tmp_path: Path) -> None:
    snapshot, blobs = tmp_path / "repo" / "snapshots" / "0123", tmp_path / "repo" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for number, file in enumerate(model.iterdir()):
        shutil.copyfile(file, blobs / str(number))
        (snapshot / file.name).symlink_to(os.path.relpath(blobs / str(number), snapshot))
    own = tmp_path / "own"
    own.symlink_to(snapshot)
    for directory in (snapshot, own):
        assert check_artifact(found(directory)).errors == ()
    (snapshot / "config.json").unlink()
    (snapshot / "config.json").symlink_to(model / "config.json")
    with pytest.raises(ArtifactError, match=r"config.json: is a link that leads out"):
        found(snapshot)


def test_a_link_within_the_folder_and_one_to_the_folder_are_the_users_own(
    model: Path, tmp_path: Path
) -> None:
    (model / "config.json").rename(model / "config-of-today.json")
    (model / "config.json").symlink_to("config-of-today.json")
    own = tmp_path / "own"
    own.symlink_to(model)
    assert check_artifact(found(own)).errors == ()


def test_a_link_to_a_weights_file_that_the_user_names_leads_to_its_folder(
    model: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own" / WEIGHTS
    own.parent.mkdir()
    own.symlink_to(model / WEIGHTS)
    [there] = look_at(own, "tests", {}).values()
    assert there.path == model.resolve()
    with open_tensors(own) as file:
        assert file.tensors


def test_a_circle_of_links_is_refused_in_one_sentence(model: Path) -> None:
    (model / "config.json").unlink()
    (model / "config.json").symlink_to("config.json")
    with pytest.raises(ArtifactError, match=r"config.json"):
        found(model)
    with pytest.raises(ArtifactError, match=r"config.json cannot be read"):
        read_hf_config(model)


def test_a_sound_file_is_read_whole_and_its_lines_end_as_transformers_has_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "chat_template.jinja"
    path.write_bytes(b"one\r\ntwo\n")
    assert read_whole(path) == b"one\r\ntwo\n"
    assert read_text(path) == "one\ntwo\n"


def test_a_template_too_long_to_be_one_is_not_rendered() -> None:
    longest = "x" * MOST_TEMPLATE_BYTES
    assert render(longest, []) == longest
    with pytest.raises(ArtifactError, match="chat template is longer than") as caught:
        render(longest + "x", [])
    assert caught.value.rule == "G0-TEMPLATE"
