"""`ollama_parity` against a real server of our own: the same model, another one, none."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import numpy as np

from pytest_aprqa.playbook.load import load_playbook
from pytest_aprqa.playbook.plan import make_plan
from pytest_aprqa.run.check import run_check
from pytest_aprqa.run.laboratory import Laboratory
from pytest_aprqa.run.settings import Settings
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.words import Attribution, Outcome

BUILTIN = Path(__file__).parents[2] / "pytest_aprqa" / "builtin" / "aprqa-reference"
PLAYBOOK = """\
extends: mvp
name: parity
model: {{hf_repo: aprqa/aprqa-reference, builtin: aprqa-reference, formats: [safetensors]}}
test_matrix: {{backends: [cpu]}}
ollama_parity:
  enabled: true
  base_url: {url}
  model_tag: {model}
  quantizations: [q8_0]
  prompts: ["What is 2+2?", "What is the capital of France?"]
"""


def parity(tmp_path: Path, url: str, model: str = "any") -> Evidence:
    """Run the one check of a playbook that asks a server."""
    path = tmp_path / "parity-mvp.playbook.yaml"
    path.write_text(PLAYBOOK.format(url=json.dumps(url), model=json.dumps(model)))
    plan = make_plan(load_playbook(path))
    [check] = [check for check in plan.checks if check.subject == "endpoint"]
    assert (check.name, check.gate_id) == ("endpoint-parity[safetensors-cpu]", "F-COMP-004")
    settings = Settings(certifications=tmp_path, threads=1, result_cache=True)
    laboratory = Laboratory(plan, path, settings, tmp_path)
    try:
        return run_check(check, laboratory)
    finally:
        laboratory.close()


def turn_over(path: Path, tensor: str) -> None:
    """Put the rows of a matrix of 16-bit values in reverse order."""
    content = bytearray(path.read_bytes())
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    [about] = [about for name, about in header.items() if name.endswith(tensor)]
    begin, end = (8 + size + offset for offset in about["data_offsets"])
    rows = np.frombuffer(bytes(content[begin:end]), np.uint16).reshape(about["shape"])
    content[begin:end] = rows[::-1].tobytes()
    path.write_bytes(content)


def test_a_server_of_the_same_model_answers_as_the_reference(serve, tmp_path):
    endpoint = serve(BUILTIN)
    found = parity(tmp_path, endpoint.base_url, endpoint.model)
    assert found.outcome is Outcome.CORROBORATED, found.reason
    assert found.compared["prompts"] == 2
    assert "Paris" in str(found.observation)


def test_a_server_of_another_model_is_found_out(serve, tmp_path):
    other = Path(shutil.copytree(BUILTIN, tmp_path / "other"))
    turn_over(other / "model.safetensors", "layers.0.mlp.down_proj.weight")
    endpoint = serve(other)
    found = parity(tmp_path, endpoint.base_url, endpoint.model)
    assert (found.outcome, found.attribution) == (Outcome.FALSIFIED, Attribution.ENGINE)


def test_a_server_that_is_not_there_is_no_fault_of_the_model(tmp_path):
    found = parity(tmp_path, "http://127.0.0.1:9")
    assert not found.outcome.executed
    assert found.attribution is Attribution.ENVIRONMENT
