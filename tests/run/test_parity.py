"""A conversion that answers otherwise than its reference: where it comes from is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_aprqa.playbook.load import load_playbook
from pytest_aprqa.playbook.plan import make_plan
from pytest_aprqa.run.check import run_check
from pytest_aprqa.run.convert_file import convert_to
from pytest_aprqa.run.laboratory import Laboratory
from pytest_aprqa.run.parity import PROMPTS
from pytest_aprqa.run.settings import Settings
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.words import Outcome

BUILTIN = Path(__file__).parents[2] / "pytest_aprqa" / "builtin" / "aprqa-reference"
MATRIX = "model.layers.2.mlp.down_proj.weight"
PLAYBOOK = """\
extends: mvp
name: differs
model:
  hf_repo: aprqa/aprqa-reference
  local_path: {reference}
  formats: [safetensors, gguf]
  files: {{gguf: {gguf}}}
test_matrix: {{backends: [cpu]}}
"""


@pytest.fixture
def gguf(tmp_path: Path, upside_down: Path) -> Path:
    """Return a GGUF of the shipped model in which one matrix is upside down."""
    convert_to(upside_down, tmp_path / "model.gguf", None, force=False)
    return tmp_path / "model.gguf"


def test_the_first_tensor_that_differs_is_named_with_its_layer(tmp_path: Path, gguf: Path) -> None:
    found = carried_out(tmp_path, gguf, "format-parity[gguf-cpu]")
    assert found.outcome is Outcome.FALSIFIED
    assert f"the first of them in layer 2: {MATRIX} differs beyond rounding" in found.reason


def carried_out(place: Path, gguf: Path, name: str, more: str = "") -> Evidence:
    """Carry out one check of a playbook."""
    path = place / "differs-mvp.playbook.yaml"
    text = PLAYBOOK.format(reference=json.dumps(str(BUILTIN)), gguf=json.dumps(str(gguf)))
    path.write_text(text + more)
    plan = make_plan(load_playbook(path))
    names = [check.name for check in plan.checks]
    assert name in names, names
    laboratory = Laboratory(plan, path, Settings(certifications=place, threads=1), place)
    try:
        return run_check(plan.checks[names.index(name)], laboratory)
    finally:
        laboratory.close()


def test_the_prompt_a_playbook_names_is_asked_of_both_formats(tmp_path: Path, gguf: Path) -> None:
    asked = "differential_tests: {inference_compare: {enabled: true, prompt: Who are you?}}\n"
    found = carried_out(tmp_path, gguf, "format-parity[gguf-cpu]", asked)
    assert len(found.observation["generations"]) == 2 * (PROMPTS + 1)
