"""The layers that `fail-fast` shows of a model that is damaged in one of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_aprqa.playbook.check import Check
from pytest_aprqa.run.blank import not_run
from pytest_aprqa.run.convert_file import convert_to
from pytest_aprqa.run.diagnostics import write_bundle
from pytest_aprqa.run.laboratory import Laboratory
from pytest_aprqa.run.planning import plan_playbook
from pytest_aprqa.run.settings import Settings
from pytest_aprqa.words import Attribution, Outcome

BUILTIN = Path(__file__).parents[2] / "pytest_aprqa" / "builtin" / "aprqa-reference"
DAMAGED = 2
PLAYBOOK = """\
extends: mvp
name: damaged
model:
  hf_repo: aprqa/aprqa-reference
  local_path: {reference}
  formats: [safetensors, apr, gguf]
  files: {{apr: {apr}}}
test_matrix: {{backends: [cpu]}}
"""


@pytest.fixture
def damaged(tmp_path: Path, upside_down: Path) -> Path:
    """Return an APR of the shipped model with a matrix of layer 2 upside down."""
    convert_to(upside_down, tmp_path / "damaged.apr", None, force=False)
    return tmp_path / "damaged.apr"


@pytest.fixture
def laboratory(tmp_path: Path, damaged: Path) -> Iterator[Laboratory]:
    path = tmp_path / "damaged.playbook.yaml"
    path.write_text(PLAYBOOK.format(reference=BUILTIN, apr=damaged))
    settings = Settings(certifications=tmp_path, threads=1, result_cache=False)
    opened = Laboratory(plan_playbook(path, settings).plan, path, settings, tmp_path)
    yield opened
    opened.close()


def bundle_of(check: Check, laboratory: Laboratory, folder: Path) -> dict[str, object]:
    evidence = not_run(check, Outcome.FALSIFIED, "It differs.", Attribution.CONVERSION)
    write_bundle(folder, check, evidence, laboratory, "damaged.playbook.yaml::check")
    content: dict[str, object] = json.loads((folder / "layers.json").read_text())
    return content


def test_the_first_layer_that_differs_is_named(laboratory: Laboratory, tmp_path: Path) -> None:
    [check] = [c for c in laboratory.plan.checks if c.name == "I-1[apr]"]
    report = bundle_of(check, laboratory, tmp_path / "bundle")
    assert report["first_layer_that_differs"] == DAMAGED
    artifact, reference = report["artifact"], report["reference"]
    assert isinstance(artifact, list)
    assert isinstance(reference, list)
    assert len(artifact) == len(reference) > DAMAGED
    assert artifact[:DAMAGED] == reference[:DAMAGED]
    assert artifact[DAMAGED]["rms"] != reference[DAMAGED]["rms"]


def test_an_engine_that_shows_no_layers_says_so_beside_the_reference(
    laboratory: Laboratory, tmp_path: Path
) -> None:
    [check] = [c for c in laboratory.plan.checks if c.name == "I-1[gguf]"]
    report = bundle_of(check, laboratory, tmp_path / "bundle")
    assert report["artifact"] == {"told": "llama.cpp shows no hidden states, so no layers"}
    assert isinstance(report["reference"], list)
    assert "first_layer_that_differs" not in report


def test_a_check_of_files_has_no_forward_pass(laboratory: Laboratory, tmp_path: Path) -> None:
    [check] = [c for c in laboratory.plan.checks if c.name == "G0[apr]"]
    report = bundle_of(check, laboratory, tmp_path / "bundle")
    assert report == {"told": "no forward pass belongs to this check"}
