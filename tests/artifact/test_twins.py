"""What G0 has found the same need not be compared again, and says what the comparison would."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_aprqa.artifact import twins
from pytest_aprqa.artifact.check import check_artifact
from pytest_aprqa.artifact.convert import convert
from pytest_aprqa.artifact.model import Artifact
from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.artifact.twins import known_same, twins_in
from pytest_aprqa.run import invariants
from pytest_aprqa.run.invariants import compare_artifacts
from pytest_aprqa.words import Format

MODELS = ("llama-bf16", "llama-f16", "llama", "qwen2", "gemma", "phi3", "gpt-neox", "mixtral")
MOVED = "model.layers.0.self_attn.q_proj.weight"
UP = "model.layers.0.mlp.up_proj.weight"


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twins, "_SAME", {})


def settled(artifact: Artifact) -> Artifact:
    """Return an artifact whose files are old enough that a change of them shows."""
    for path in artifact.files:
        os.utime(path, (1, 1))
    return artifact


def compared(reference: Artifact, artifact: Artifact) -> dict[str, str]:
    return {found.name: repr(found) for found in compare_artifacts(reference, artifact)}


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of tensors whose data a comparison has read."""
    names: list[str] = []
    compare = invariants._comparison

    def noted(ours: Any, *others: Any) -> Any:
        names.append(ours.name)
        return compare(ours, *others)

    monkeypatch.setattr(invariants, "_comparison", noted)
    return names


@pytest.mark.parametrize("form", [Format.APR, Format.GGUF])
@pytest.mark.parametrize("name", MODELS)
def test_a_comparison_after_g0_says_what_one_without_it_says(
    name: str, form: Format, tiny_models: Any, tmp_path: Path, reads: list[str]
) -> None:
    reference = settled(tiny_models.artifact(name))
    artifact = settled(convert(reference, form, tmp_path / "made"))
    expected = compared(reference, artifact)
    assert not known_same(reference, artifact)
    assert sorted(reads) == sorted(expected)
    reads.clear()
    check_artifact(artifact, reference=reference)
    known = known_same(reference, artifact)
    assert compared(reference, artifact) == expected
    assert sorted(reads) == sorted(expected.keys() - known)
    stacks = {tensor for tensor in expected if ".experts." in tensor}
    if form is Format.APR:
        assert known == expected.keys()
    elif name != "gemma":  # GGUF stores its norms as other values
        assert known >= {t for t in expected if t.endswith("proj.weight")} - stacks


def test_rows_that_gguf_moves_are_held_against_the_reference_s(
    tiny_models: Any, tmp_path: Path
) -> None:
    reference = settled(tiny_models.artifact("llama-bf16"))
    artifact = settled(convert(reference, Format.GGUF, tmp_path / "made"))
    check_artifact(artifact, reference=reference)
    assert {MOVED, UP} <= known_same(reference, artifact)
    with open_tensors(artifact.path) as file, open_tensors(reference.path) as other:
        stored, original = file.raw("blk.0.attn_q.weight"), other.raw(MOVED)
        assert not np.array_equal(stored, original)


def spoilt(artifact: Artifact, tensor: str, value: int) -> None:
    """Write a number into the first element of a tensor of 16 bits."""
    with open_tensors(artifact.path, checksum=False) as file:
        info = file.tensors[tensor]
    with info.path.open("r+b") as written:
        written.seek(info.offset)
        written.write(value.to_bytes(2, "little"))


def test_a_file_changed_after_g0_is_compared_again(
    tiny_models: Any, tmp_path: Path, reads: list[str]
) -> None:
    reference = settled(tiny_models.artifact("llama-bf16"))
    artifact = settled(convert(reference, Format.GGUF, tmp_path / "made"))
    check_artifact(artifact, reference=reference)
    spoilt(artifact, "blk.0.ffn_up.weight", 0x4000)
    assert not known_same(reference, artifact)
    found = {c.name: c for c in compare_artifacts(reference, artifact)}
    assert UP in reads
    assert found[UP] != found[UP.replace("0.mlp", "1.mlp")]


@pytest.mark.parametrize("value", [0x7FC0, 0x4000])
def test_what_differs_or_is_not_finite_is_not_known_to_be_the_same(
    value: int, tiny_models: Any, tmp_path: Path
) -> None:
    source = tiny_models.artifact("llama-bf16")
    reference = settled(convert(source, Format.SAFETENSORS, tmp_path / "reference"))
    artifact = settled(convert(reference, Format.GGUF, tmp_path / "made"))
    spoilt(artifact, "blk.0.ffn_up.weight", value)
    if value == 0x7FC0:
        spoilt(reference, UP, value)  # the same bytes, and no number
    for one in (reference, artifact):
        settled(one)
    check_artifact(artifact, reference=reference)
    known = known_same(reference, artifact)
    assert UP not in known
    assert UP.replace("0.mlp", "1.mlp") in known


def test_a_young_file_is_not_remembered(tiny_models: Any, tmp_path: Path) -> None:
    reference = settled(tiny_models.artifact("llama-bf16"))
    artifact = convert(reference, Format.APR, tmp_path / "made")
    check_artifact(artifact, reference=reference)
    assert not known_same(reference, artifact)


def test_a_reference_that_cannot_be_read_has_no_twins(tiny_models: Any, tmp_path: Path) -> None:
    reference = tiny_models.artifact("llama-bf16")
    artifact = convert(reference, Format.APR, tmp_path / "made")
    missing = replace(reference, path=tmp_path / "nowhere", files=(tmp_path / "nowhere",))
    with open_tensors(artifact.path) as file:
        for other in (None, missing, artifact):
            with twins_in(other, file) as found:
                assert not found
        with twins_in(reference, file) as found:
            assert found
