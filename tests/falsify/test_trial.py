"""The trial itself, on real engines: faults are caught where they must be, sound files are not accused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_aprqa.falsify.detection import Catch, Trial
from pytest_aprqa.falsify.fault import Family, Fault, NotApplicableError, Original, Sample
from pytest_aprqa.falsify.gate import Gate
from pytest_aprqa.falsify.laboratory import EnginePool
from pytest_aprqa.falsify.originals import Originals
from pytest_aprqa.falsify.registry import built_in_faults
from pytest_aprqa.falsify.trial import Bench, Sound
from pytest_aprqa.run.settings import Settings
from pytest_aprqa.words import Format, Outcome, Status, Tier

PLAYBOOK = """\
name: trial
model: {hf_repo: aprqa/aprqa-reference, formats: [safetensors, gguf]}
test_matrix:
  modalities: [run, serve]
  backends: [cpu]
  scenario_count: 1
  timeout_ms: 60000
  prompts:
    - {prompt: What is the capital of France?, completion: The capital of France is, expected: Paris}
failure_policy: collect-all
profile_ci: {enabled: false}
"""

FAULTS = {fault.id: fault for fault in built_in_faults()}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def bench(originals: Originals, root: Path) -> Iterator[Bench]:
    playbook = root / "trial.playbook.yaml"
    playbook.write_text(PLAYBOOK)
    settings = Settings(certifications=root, artifact_cache=root, threads=1, offline=True)
    pool = EnginePool(root, 1)
    yield Bench(originals, playbook, settings, pool, [Format.GGUF])
    pool.close()


@pytest.fixture(scope="module")
def sound(bench: Bench) -> Sound:
    return bench.certify_original(Original.NATIVE, Tier.QUICK, 1)


def try_it(bench: Bench, sound: Sound, fault: Fault, *, complete: bool = False) -> Trial:
    fault = replace(fault, tier=Tier.QUICK)
    return bench.try_fault(fault, Format.GGUF, sound, tier=Tier.QUICK, seed=1, complete=complete)


def test_a_sound_model_is_not_blocked(sound: Sound) -> None:
    assert sound.run.status is not Status.BLOCKED
    assert sound.run.checks > 20
    assert set(sound.run.digests) == {Format.GGUF}


@pytest.mark.parametrize(
    ("name", "gate"),
    [
        ("container-truncated", Gate.G0),
        ("weights-embedding-rows-permuted", Gate.G4),
        ("weights-one-weight", Gate.I4),
        ("engine-numbers-drift", Gate.I1),
        ("engine-server-drops-usage", Gate.QUAL),
    ],
)
def test_a_fault_is_caught_at_its_gate(bench: Bench, sound: Sound, name: str, gate: Gate) -> None:
    trial = try_it(bench, sound, FAULTS[name])
    assert not trial.error
    assert trial.by is not None
    assert trial.by.gate is gate
    assert trial.is_caught
    assert trial.behaviour == trial.by


def test_a_whole_trial_names_every_gate_that_sees_the_fault_and_blocks_the_model(
    bench: Bench, sound: Sound
) -> None:
    trial = try_it(bench, sound, FAULTS["weights-layers-swapped"], complete=True)
    assert {Gate.I4, Gate.I1} <= {catch.gate for catch in trial.catches}
    assert trial.catches[-1].gate is Gate.DIGEST
    assert trial.checks > 20
    assert trial.status is not None


def test_a_harmless_change_is_seen_by_its_digest_alone(bench: Bench, sound: Sound) -> None:
    trial = try_it(bench, sound, fault_of(rename))
    assert [catch.gate for catch in trial.catches] == [Gate.DIGEST]
    assert trial.behaviour is None
    assert not trial.is_caught  # I-4 was to see it


def test_nothing_made_from_a_spoilt_model_is_kept(bench: Bench, sound: Sound, root: Path) -> None:
    before = set(root.glob("artifacts/*"))
    trial = bench.try_fault(
        FAULTS["container-hole"],
        Format.SAFETENSORS,
        sound,
        tier=Tier.QUICK,
        seed=1,
        complete=True,
    )
    assert trial.checks > 20
    assert set(root.glob("artifacts/*")) == before


def test_a_fault_that_changes_nothing_is_an_error_and_not_caught(
    bench: Bench, sound: Sound
) -> None:
    trial = try_it(bench, sound, fault_of(do_nothing))
    assert "left every file as it was" in trial.error
    assert not trial.is_caught


def test_a_fault_that_does_not_apply_says_so(bench: Bench, sound: Sound) -> None:
    trial = try_it(bench, sound, fault_of(refuse))
    assert trial.not_applicable == "no such layer"


def test_a_check_that_fails_on_the_sound_original_proves_nothing(
    bench: Bench, sound: Sound
) -> None:
    alarm = Catch(
        gate=Gate.G0, check="G0[gguf]", outcome=Outcome.FALSIFIED, reason="", tier=Tier.QUICK
    )
    accused = Sound(sound.run.model_copy(update={"alarms": (alarm,)}), sound.records)
    trial = try_it(bench, accused, FAULTS["container-truncated"])
    assert [catch.gate for catch in trial.catches] == [Gate.DIGEST]


def fault_of(seed: object) -> Fault:
    return Fault("test", Family.WEIGHTS, "a test", {Format.GGUF: Gate.I4}, seed)  # type: ignore[arg-type]


def rename(sample: Sample, _: object) -> None:
    """Change the model's name in the metadata, which no answer depends on."""
    data = sample.weights.read_bytes()
    key = b"general.name"
    at = data.index(b"model", data.index(key) + len(key))
    sample.weights.write_bytes(data[:at] + b"other" + data[at + 5 :])


def do_nothing(sample: Sample, _: object) -> None:
    assert Path(sample.directory).is_dir()


def refuse(sample: Sample, _: object) -> None:
    raise NotApplicableError("no such layer")
