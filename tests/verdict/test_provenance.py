"""Where files come from."""

from __future__ import annotations

import pytest

from pytest_aprqa.verdict.provenance import ArtifactRecord, provenance_verified
from pytest_aprqa.words import Format

GOOD, OTHER = "a" * 64, "b" * 64
TRUTH = {
    "digest": "truth",
    "files": {"model.safetensors": GOOD, "config.json": OTHER},
    "expected": {"model.safetensors": GOOD},
}
CONVERTED = {"digest": "copy", "converted_from": "truth"}


def verified(truth=None, gguf=None) -> bool:
    found = {Format.SAFETENSORS: ArtifactRecord(**{**TRUTH, **(truth or {})})}
    if gguf is not None:
        found[Format.GGUF] = ArtifactRecord(**{**CONVERTED, **gguf})
    return provenance_verified(found)


def test_published_weights_and_what_was_converted_from_them_are_verified():
    assert verified()
    assert verified(gguf={})


@pytest.mark.parametrize(
    "truth",
    [
        pytest.param({"derived": True}, id="made from a GGUF"),
        pytest.param({"expected": {}}, id="nobody states a sha256"),
        pytest.param({"expected": {"config.json": OTHER}}, id="only for a side file"),
        pytest.param({"expected": {"model.safetensors": OTHER}}, id="another sha256 is stated"),
        pytest.param({"expected": {"model.safetensors": GOOD, "gone": GOOD}}, id="a file is gone"),
        pytest.param({"files": {}}, id="no weights"),
    ],
)
def test_safetensors_without_proof_are_not_verified(truth):
    assert not verified(truth)


@pytest.mark.parametrize(
    "gguf", [{"converted_from": ""}, {"converted_from": "elsewhere"}, {"derived": True}]
)
def test_a_file_of_other_descent_is_not_verified(gguf):
    assert not verified(gguf=gguf)


def test_a_model_without_safetensors_is_not_verified():
    assert not provenance_verified({Format.GGUF: ArtifactRecord(**CONVERTED)})
