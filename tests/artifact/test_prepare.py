from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from pytest_aprqa.artifact import prepare
from pytest_aprqa.artifact.convert import convert
from pytest_aprqa.artifact.convert_dtype import quantization_dtype
from pytest_aprqa.artifact.locate import locate
from pytest_aprqa.artifact.model import Artifact, ArtifactError, ArtifactFault
from pytest_aprqa.artifact.pending_digest import PendingDigest
from pytest_aprqa.artifact.prepare import Workshop, default_cache_dir
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.playbook.model_spec import ModelSpec
from pytest_aprqa.playbook.quantizations import APR_QUANTIZATIONS
from pytest_aprqa.words import Cell, Format


@pytest.fixture
def model(tiny_models: Any, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_models.directory / "llama-tied", tmp_path / "model"))


@pytest.fixture
def workshop(tmp_path: Path) -> Any:
    def make(model: Path, **more: Any) -> Workshop:
        return Workshop(
            ModelSpec(hf_repo="org/tiny"),
            playbook_dir=tmp_path,
            model_path=model,
            cache_dir=tmp_path / "cache",
            **more,
        )

    return make


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[Format]:
    """Return the list that every conversion adds its target to."""
    made: list[Format] = []

    def counted(source: Artifact, target: Format, *rest: Any) -> Artifact:
        made.append(target)
        return convert(source, target, *rest)

    monkeypatch.setattr(prepare, "convert", counted)
    return made


def test_what_was_found_is_used_and_the_rest_is_converted_from_it(
    workshop: Any, model: Path
) -> None:
    shop = workshop(model)
    reference, apr, gguf = (shop.artifact(form) for form in Format)
    assert reference.path == model
    assert (reference.source, reference.converted_from) == ("--model-path", "")
    for made in (apr, gguf):
        assert made.converted_from == reference.digest
        assert made.source == "converted from safetensors"
        assert not made.derived
    assert [shop.is_converted(form) for form in Format] == [False, True, True]
    assert shop.source_format is Format.SAFETENSORS


def test_a_second_run_converts_nothing(
    workshop: Any, model: Path, conversions: list[Format]
) -> None:
    first = [workshop(model).artifact(form) for form in Format]
    assert conversions == [Format.APR, Format.GGUF]
    assert [workshop(model).artifact(form) for form in Format] == first
    assert conversions == [Format.APR, Format.GGUF]


def test_a_changed_model_is_converted_anew(
    workshop: Any, model: Path, conversions: list[Format]
) -> None:
    first = workshop(model).artifact(Format.APR)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 1e-3}))
    second = workshop(model).artifact(Format.APR)
    assert conversions == [Format.APR, Format.APR]
    assert first.digest != second.digest


@pytest.mark.parametrize("damage", ["bytes", "record", "unfinished", "gone"])
def test_a_conversion_that_is_not_what_its_record_says_is_made_again(
    workshop: Any, model: Path, conversions: list[Format], damage: str
) -> None:
    made = workshop(model).artifact(Format.APR)
    before = workshop(model).artifact(Format.APR).digest
    assert conversions == [Format.APR]
    record = made.path.parent / "conversion.json"
    if damage == "bytes":
        made.path.write_bytes(made.path.read_bytes()[:-1] + b"\0")
        os.utime(made.path, ns=(1, 1))
    elif damage == "record":
        record.write_text("{")
    elif damage == "unfinished":
        record.write_text(json.dumps({**json.loads(record.read_text()), "target": {}}))
    else:
        made.path.unlink()
    assert workshop(model).artifact(Format.APR).digest == before
    assert conversions == [Format.APR, Format.APR]


def test_who_asks_while_a_conversion_is_hashed_waits_for_its_record(
    workshop: Any, model: Path, conversions: list[Format], monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed, found = Event(), list[Artifact]()

    def hashed_later(*arguments: Any) -> Artifact:
        made = convert(*arguments)
        conversions.append(made.format)
        later = PendingDigest(lambda: made.digest if hashed.wait(60) else "")
        return replace(made, identity=later)

    monkeypatch.setattr(prepare, "convert", hashed_later)
    made = workshop(model).artifact(Format.APR)
    other = Thread(target=lambda: found.append(workshop(model).artifact(Format.APR)))
    other.start()
    other.join(0.3)
    assert other.is_alive()
    hashed.set()
    other.join(60)
    assert found == [made]
    assert conversions == [Format.APR]


def test_one_that_cannot_be_hashed_is_made_again(
    workshop: Any, model: Path, conversions: list[Format], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> str:
        raise ArtifactError(ArtifactFault.ENVIRONMENT, "the disk is broken")

    def not_hashed(*arguments: Any) -> Artifact:
        conversions.append(Format.APR)
        return replace(convert(*arguments), identity=PendingDigest(broken))

    with monkeypatch.context() as patched:
        patched.setattr(prepare, "convert", not_hashed)
        shop = workshop(model)
        made = shop.artifact(Format.APR)
        shop.settle()
    with pytest.raises(ArtifactError, match="the disk is broken"):
        _ = made.digest
    assert workshop(model).artifact(Format.APR).path == made.path
    assert conversions == [Format.APR, Format.APR]


def test_what_is_settled_is_on_record(workshop: Any, model: Path) -> None:
    shop = workshop(model)
    made = [shop.artifact(form) for form in (Format.APR, Format.GGUF)]
    shop.settle()
    for artifact in made:
        record = json.loads((artifact.path.parent / "conversion.json").read_text())
        assert record["target"]["digest"] == artifact.digest


def test_a_model_that_is_only_a_gguf_gets_a_derived_reference(
    workshop: Any, model: Path, tmp_path: Path
) -> None:
    gguf = workshop(model).artifact(Format.GGUF).path
    shop = workshop(gguf)
    assert shop.source_format is Format.GGUF
    given, reference, apr = (
        shop.artifact(form) for form in (Format.GGUF, Format.SAFETENSORS, Format.APR)
    )
    assert given.path == gguf
    assert reference.derived
    assert reference.converted_from == given.digest
    assert apr.derived
    assert apr.converted_from == reference.digest


def test_a_quantisation_is_made_from_the_reference(workshop: Any, model: Path) -> None:
    shop = workshop(model)
    plain, small = shop.artifact(Format.GGUF), shop.artifact(Format.GGUF, "Q8_0")
    assert small.path.stat().st_size < plain.path.stat().st_size / 2
    assert small.converted_from == plain.converted_from
    assert shop.known(Format.GGUF, "Q8_0") == small
    assert shop.known(Format.APR) is None


def test_the_quantisation_of_the_playbook_is_that_of_the_conversions(
    tmp_path: Path, model: Path
) -> None:
    shop = Workshop(
        ModelSpec(hf_repo="org/tiny", quantizations=("q8_0",)),
        playbook_dir=tmp_path,
        model_path=model,
        cache_dir=tmp_path / "cache",
    )
    quantised = shop.artifact(Format.GGUF)
    assert quantised.digest == shop.artifact(Format.GGUF, "Q8_0").digest
    assert shop.artifact(Format.SAFETENSORS).path == model
    assert shop.artifact(Format.APR).digest == shop.artifact(Format.APR, "int8").digest


def test_a_quantisation_that_a_format_cannot_have_is_told(tmp_path: Path, model: Path) -> None:
    spec = ModelSpec(hf_repo="org/tiny", quantizations=("q5_0",))
    shop = Workshop(spec, playbook_dir=tmp_path, model_path=model, cache_dir=tmp_path / "cache")
    with pytest.raises(ArtifactError, match="'q5_0' cannot be made for apr"):
        shop.artifact(Format.APR)


def test_many_processes_convert_once(workshop: Any, model: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        digests = pool.starmap(prepare_apr, [(model, tmp_path / "cache")] * 3)
    assert len(set(digests)) == 1
    (made,) = (tmp_path / "cache" / "artifacts").rglob("model.apr")
    assert made.stat().st_size > 0


def prepare_apr(model: Path, cache: Path) -> tuple[str, int]:
    shop = Workshop(
        ModelSpec(hf_repo="org/tiny"), playbook_dir=model, model_path=model, cache_dir=cache
    )
    made = shop.artifact(Format.APR)
    return made.digest, made.path.stat().st_ino


def test_nothing_is_looked_for_before_it_is_asked_for(workshop: Any, tmp_path: Path) -> None:
    shop = workshop(tmp_path / "nothing")
    with pytest.raises(ArtifactError) as caught:
        shop.artifact(Format.APR)
    assert caught.value.fault is ArtifactFault.NOT_FOUND


def test_the_cache_is_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("APRQA_CACHE", str(tmp_path / "here"))
    assert default_cache_dir() == tmp_path / "here"
    monkeypatch.delenv("APRQA_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / "pytest-aprqa"


def test_a_cache_that_cannot_be_written_is_the_environments_fault(
    model: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    shop = Workshop(
        ModelSpec(hf_repo="org/tiny"),
        playbook_dir=tmp_path,
        model_path=model,
        cache_dir=tmp_path / "file",
    )
    with pytest.raises(ArtifactError) as caught:
        shop.artifact(Format.APR)
    assert caught.value.fault is ArtifactFault.ENVIRONMENT


def test_what_the_playbook_language_says_apr_can_hold_can_be_made() -> None:
    for name in APR_QUANTIZATIONS:
        quantization_dtype(name, Format.APR)
    others = {dtype.lower() for dtype in DType} - APR_QUANTIZATIONS
    for name in others:
        with pytest.raises(ArtifactError, match="cannot be made for apr"):
            quantization_dtype(name, Format.APR)


def test_a_file_that_states_a_quantisation_is_tested_and_the_others_are_converted(
    tmp_path: Path, model: Path
) -> None:
    spec = ModelSpec(hf_repo="org/tiny", quantizations=("q4_0", "q8_0"))
    shop = Workshop(spec, playbook_dir=tmp_path, model_path=model, cache_dir=tmp_path / "cache")
    small = shop.artifact(Format.GGUF, "q4_0").path
    found = Path(shutil.copy(small, model / "tiny.Q4_0.gguf"))
    again = Workshop(spec, playbook_dir=tmp_path, model_path=model, cache_dir=tmp_path / "cache")
    assert again.artifact(Format.GGUF, "q4_0").path == found
    assert [again.is_converted(Format.GGUF, name) for name in spec.quantizations] == [False, True]


def test_a_model_of_one_quantised_file_is_its_own_source_and_one_of_its_artifacts(
    tmp_path: Path, model: Path
) -> None:
    spec = ModelSpec(hf_repo="org/tiny", quantizations=("q4_0", "q8_0"))
    shop = Workshop(spec, playbook_dir=tmp_path, model_path=model, cache_dir=tmp_path / "cache")
    assert shop.source == Cell(Format.SAFETENSORS)
    only = tmp_path / "only"
    only.mkdir()
    file = Path(shutil.copy(shop.artifact(Format.GGUF, "q8_0").path, only / "tiny.Q8_0.gguf"))
    other = Workshop(spec, playbook_dir=tmp_path, model_path=only, cache_dir=tmp_path / "cache")
    assert other.source == Cell(Format.GGUF, quantization="q8_0")
    assert other.of(other.source).path == file
    made = other.artifact(Format.GGUF, "q4_0")
    assert made.derived
    assert made.converted_from == other.artifact(Format.SAFETENSORS).digest


def test_several_files_and_no_safetensors_leave_the_reference_open(
    tmp_path: Path, model: Path
) -> None:
    spec = ModelSpec(hf_repo="org/tiny", quantizations=("q4_0", "q8_0"))
    shop = Workshop(spec, playbook_dir=tmp_path, model_path=model, cache_dir=tmp_path / "cache")
    files = tmp_path / "files"
    files.mkdir()
    for name in spec.quantizations:
        shutil.copy(shop.artifact(Format.GGUF, name).path, files / f"tiny.{name}.gguf")
    other = Workshop(spec, playbook_dir=tmp_path, model_path=files, cache_dir=tmp_path / "cache")
    with pytest.raises(ArtifactError, match=r"several quantised files .* no SafeTensors"):
        other.artifact(Format.SAFETENSORS)


def test_a_model_that_is_nowhere_is_looked_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[ModelSpec] = []

    def counted(model: ModelSpec, **where: Any) -> Any:
        looked.append(model)
        return locate(model, **where)

    monkeypatch.setattr(prepare, "locate", counted)
    workshop = Workshop(
        ModelSpec(hf_repo="nobody/nothing"),
        playbook_dir=tmp_path,
        cache_dir=tmp_path / "cache",
        offline=True,
    )
    for form in Format:
        with pytest.raises(ArtifactError, match="nobody/nothing was not found"):
            workshop.artifact(form)
    assert len(looked) == 1
