"""What the reference says of an artifact: whose doing a failure is, and what its answers are worth."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from pytest_aprqa.falsify.fault import Sample
from pytest_aprqa.falsify.weights import embedding_rows_permuted
from pytest_aprqa.falsify.weights_file import edited
from pytest_aprqa.judge.garbage_salad import SALAD_NATS, SOUND_NATS
from pytest_aprqa.playbook.load import load_playbook
from pytest_aprqa.playbook.plan import make_plan
from pytest_aprqa.run.check import run_check
from pytest_aprqa.run.convert_file import convert_to
from pytest_aprqa.run.laboratory import Laboratory
from pytest_aprqa.run.settings import Settings
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.words import Attribution, Format, Outcome

BUILTIN = Path(__file__).parents[2] / "pytest_aprqa" / "builtin" / "aprqa-reference"
VOCABULARY = json.loads((BUILTIN / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
PLAYBOOK = """\
extends: mvp
name: whose
model:
  hf_repo: aprqa/aprqa-reference
  local_path: {reference}
  formats: [safetensors, gguf]
  files: {{gguf: {gguf}}}
test_matrix: {{backends: [cpu]}}
"""

Spoil = Callable[[Sample], None]
CarryOut = Callable[[Spoil, str, bool], Evidence]


@pytest.fixture
def carry_out(tmp_path: Path) -> Iterator[CarryOut]:
    """Return a function that carries out a check on a GGUF of a spoilt copy of the shipped model.

    The reference is the shipped model, or the spoilt copy itself.
    """
    laboratories = []

    def do(spoil: Spoil, name: str, reference_is_sound: bool) -> Evidence:
        spoilt = Path(shutil.copytree(BUILTIN, tmp_path / "spoilt"))
        (spoilt / "SHA256SUMS").unlink()  # spoilt on purpose
        spoil(Sample(Format.SAFETENSORS, spoilt))
        gguf = tmp_path / "spoilt.gguf"
        convert_to(spoilt, gguf, None, force=False)
        reference = BUILTIN if reference_is_sound else spoilt
        path = tmp_path / "whose-mvp.playbook.yaml"
        path.write_text(
            PLAYBOOK.format(reference=json.dumps(str(reference)), gguf=json.dumps(str(gguf)))
        )
        plan = make_plan(load_playbook(path))
        [check] = [check for check in plan.checks if check.name == name]
        settings = Settings(certifications=tmp_path, threads=1, result_cache=False)
        laboratories.append(Laboratory(plan, path, settings, tmp_path))
        return run_check(check, laboratories[-1])

    yield do
    for laboratory in laboratories:
        laboratory.close()


def outdone(quiet: str, loud: str) -> Spoil:
    """Return what makes one token come wherever another should."""

    def spoil(sample: Sample) -> None:
        with edited(sample) as file:
            for name in file.embeddings:
                values = file.values(name)
                values[VOCABULARY[loud]] = 2 * values[VOCABULARY[quiet]]
                file.put(name, values)

    return spoil


def permuted(sample: Sample) -> None:
    embedding_rows_permuted(sample, Random(1))


@pytest.mark.parametrize(
    ("reference_is_sound", "whose"), [(True, Attribution.CONVERSION), (False, Attribution.MODEL)]
)
@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        (outdone("Hello", "<|endoftext|>"), "G2[gguf-cpu]"),
        (permuted, "G4[gguf-cpu]"),
        (outdone("Ċ", "Ã"), "edge-code[gguf-cpu-run]"),
    ],
)
def test_a_gguf_that_fails_what_its_reference_passes_is_badly_converted(
    carry_out: CarryOut, spoil: Spoil, name: str, reference_is_sound: bool, whose: Attribution
) -> None:
    found = carry_out(spoil, name, reference_is_sound)
    assert (found.outcome, found.attribution) == (Outcome.FALSIFIED, whose), found.reason


def untouched(sample: Sample) -> None:
    """Leave a sample as it is."""


@pytest.mark.parametrize(("spoil", "likely"), [(untouched, True), (permuted, False)])
def test_the_reference_scores_the_answers_of_g4(
    carry_out: CarryOut, spoil: Spoil, likely: bool
) -> None:
    found = carry_out(spoil, "G4[gguf-cpu]", True)
    scores = found.observation["reference_logprobs"]
    assert len(scores) == len(found.observation["probes"])
    means = [sum(values) / len(values) for values in scores]
    assert min(means) > SOUND_NATS if likely else max(means) < SALAD_NATS
    assert found.outcome.passes is likely


def test_a_reference_that_is_not_sound_scores_nothing(carry_out: CarryOut) -> None:
    found = carry_out(permuted, "G4[gguf-cpu]", False)
    assert "reference_logprobs" not in found.observation
