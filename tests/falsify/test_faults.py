"""Every fault does something, and what only later gates can see, the first one must be able to read."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

from pytest_aprqa.artifact.check import check_artifact
from pytest_aprqa.artifact.digest import DigestCache
from pytest_aprqa.artifact.files import make_artifact
from pytest_aprqa.artifact.model import Artifact
from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.falsify.fault import Family, Fault, NotApplicableError, Sample
from pytest_aprqa.falsify.gate import Gate
from pytest_aprqa.falsify.originals import Originals
from pytest_aprqa.falsify.registry import built_in_faults
from pytest_aprqa.words import Format, Tier

SEEDED = [
    pytest.param(fault, form, id=f"{fault.id}-{form}")
    for fault in built_in_faults()
    for form in fault.expected
    if fault.family is not Family.ENGINE
]


@pytest.fixture(autouse=True)
def hasty_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for the disk: hundreds of files are written to be thrown away."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def bytes_of(directory: Path) -> dict[str, str]:
    return {p.name: sha256(p.read_bytes()).hexdigest() for p in directory.iterdir()}


def artifact_of(sample: Sample, form: Format) -> Artifact:
    where = sample.directory if form is Format.SAFETENSORS else sample.weights
    return make_artifact(form, where, "", DigestCache())


@pytest.mark.parametrize(("fault", "form"), SEEDED)
def test_a_fault_spoils_its_artifact_alone_and_g0_sees_it_or_can_read_it(
    originals: Originals, tmp_path: Path, fault: Fault, form: Format
) -> None:
    sample = originals.sample(fault.original, form, tmp_path / "model")
    before = bytes_of(sample.directory)
    try:
        assert fault.seed(sample, Random(1)) is None
    except NotApplicableError as reason:
        pytest.skip(str(reason))
    after = bytes_of(sample.directory)
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert changed
    if form is not Format.SAFETENSORS:
        assert changed == {sample.weights.name}  # the reference stays sound
    artifact = artifact_of(sample, form)
    if fault.expected[form] is Gate.G0:
        reference = artifact_of(Sample(Format.SAFETENSORS, sample.directory), Format.SAFETENSORS)
        assert check_artifact(artifact, reference=reference).errors
    elif fault.family is not Family.CONTAINER:
        with open_tensors(artifact.path) as file:
            assert file.tensors


def test_ids_are_unique_and_name_their_family() -> None:
    faults = built_in_faults()
    assert len({fault.id for fault in faults}) == len(faults) >= 45
    assert all(fault.id.startswith(f"{fault.family}-") for fault in faults)
    assert {fault.family for fault in faults} == set(Family)


def test_every_fault_says_where_it_must_be_seen_and_in_one_clause_what_is_done() -> None:
    for fault in built_in_faults():
        assert fault.expected, fault.id
        assert fault.description, fault.id
        assert not fault.description.endswith("."), fault.id


def test_what_no_answer_shows_or_a_small_tier_misses_says_why() -> None:
    for fault in built_in_faults():
        hidden = Gate.DIGEST in fault.expected.values() or fault.tier is not Tier.MVP
        assert fault.blind or not hidden, fault.id


def test_the_same_seed_spoils_the_same_bytes(originals: Originals, tmp_path: Path) -> None:
    [noise] = [fault for fault in built_in_faults() if fault.id == "weights-noise"]
    spoilt = []
    for name in ("one", "other"):
        sample = originals.sample(noise.original, Format.GGUF, tmp_path / name)
        noise.seed(sample, Random(1))
        spoilt.append(sample.weights.read_bytes())
    assert spoilt[0] == spoilt[1]
