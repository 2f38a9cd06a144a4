"""A byte that changes anywhere in signed evidence, its certificate, its row or its model is found."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import pytest_aprqa
from pytest_aprqa.artifact.convert import convert
from pytest_aprqa.artifact.digest import DigestCache
from pytest_aprqa.artifact.files import make_artifact
from pytest_aprqa.registry.models_csv import RegistryError
from pytest_aprqa.run.verify import Exhibit, statement_about, verify_exhibit
from pytest_aprqa.verdict.run_file import read_run
from pytest_aprqa.verdict.signature import sign
from pytest_aprqa.verdict.verify import Standing
from pytest_aprqa.words import Format

BUILTIN = Path(pytest_aprqa.__file__).parent / "builtin/aprqa-reference"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
POSITIONS = 500
SEED = 20261124
PLAYBOOK = """\
name: signed
model: {hf_repo: aprqa/signed, local_path: model.gguf, formats: [gguf]}
test_matrix: {modalities: [run], backends: [cpu], scenario_count: 1}
metadata: {tier: smoke}
"""


@pytest.fixture(scope="module")
def exhibit(tmp_path_factory: pytest.TempPathFactory) -> Exhibit:
    """A run of a real engine, signed."""
    folder = tmp_path_factory.mktemp("signed")
    source = make_artifact(Format.SAFETENSORS, BUILTIN, "tests", DigestCache())
    convert(source, Format.GGUF, folder / "made").path.rename(folder / "model.gguf")
    playbook = folder / "signed.playbook.yaml"
    playbook.write_text(PLAYBOOK)
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n0"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, env=os.environ)
    registry = folder / "certifications/models.csv"
    signed = Exhibit(folder / "certifications/signed/evidence.json", registry, playbook)
    statement = statement_about(signed, read_run(signed.evidence))
    signed.signature.write_bytes(sign(statement, KEY))
    return signed


def problems(exhibit: Exhibit) -> list[str]:
    """Return what does not hold of an exhibit."""
    try:
        points = verify_exhibit(exhibit, KEY.public_key())
    except RegistryError as error:
        return [str(error)]
    return [point.name for point in points if point.standing is Standing.FAILED]


def test_what_was_signed_holds(exhibit: Exhibit) -> None:
    assert problems(exhibit) == []
    points = verify_exhibit(exhibit, KEY.public_key())
    assert {point.standing for point in points} == {Standing.OK}


@pytest.mark.parametrize(
    ("where", "named"),
    [
        (lambda exhibit: exhibit.evidence, {"signature", "schema"}),
        (lambda exhibit: exhibit.journal, {"signature"}),
        (lambda exhibit: exhibit.signature, {"signature"}),
        (lambda exhibit: exhibit.registry, None),
        (lambda exhibit: exhibit.playbook.parent / "model.gguf", {"gguf files", "signature"}),
        (lambda exhibit: exhibit.reports[0], {"signature"}),
        (lambda exhibit: exhibit.reports[1], {"signature"}),
    ],
    ids=["evidence", "journal", "signature", "registry", "model", "html", "markdown"],
)
def test_any_single_byte_changed_is_found(
    exhibit: Exhibit, where: Callable[[Exhibit], Path], named: set[str] | None
) -> None:
    path = where(exhibit)
    sound = path.read_bytes()
    last = len(sound.rstrip()) if path == exhibit.registry else len(sound)
    draw = random.Random(SEED)
    missed = []
    for _ in range(POSITIONS):
        at = draw.randrange(last)
        changed = bytearray(sound)
        changed[at] ^= draw.randrange(1, 256)
        path.write_bytes(changed)
        found = problems(exhibit)
        if not found or (named is not None and not named & set(found)):
            missed.append((at, bytes(changed[at : at + 1]), found))
    path.write_bytes(sound)
    assert missed == []
    assert problems(exhibit) == []


def test_a_change_of_any_byte_of_the_first_line_of_the_registry_is_found(exhibit: Exhibit) -> None:
    sound = exhibit.registry.read_bytes()
    missed = []
    for at in range(sound.index(b"\n")):
        changed = bytearray(sound)
        changed[at] ^= 1
        exhibit.registry.write_bytes(changed)
        if not problems(exhibit):
            missed.append(at)
    exhibit.registry.write_bytes(sound)
    assert missed == []
