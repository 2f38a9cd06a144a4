"""Faults of others come in by entry point."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_aprqa.falsify.registry import all_faults, built_in_faults

MODULE = """\
from pytest_aprqa.falsify.fault import Family, Fault
from pytest_aprqa.falsify.gate import Gate
from pytest_aprqa.words import Format

def seed(sample, random):
    sample.weights.write_bytes(b"")

one = Fault("{id}", Family.WEIGHTS, "a fault of others", {{Format.GGUF: Gate.G0}}, seed)
several = [one]
wrong = "no fault"
"""


def install(site: Path, monkeypatch: pytest.MonkeyPatch, target: str, id_: str) -> None:
    """Put a distribution that registers a fault on the path."""
    name = f"others_faults_{site.name}"
    (site / f"{name}.py").write_text(MODULE.format(id=id_))
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[pytest_aprqa.faults]\nmine = {name}:{target}\n")
    monkeypatch.syspath_prepend(site)


@pytest.mark.parametrize("target", ["one", "several"])
def test_a_fault_or_a_list_of_faults_registers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    install(tmp_path, monkeypatch, target, "others-mine")
    assert [fault.id for fault in all_faults()][len(built_in_faults()) :] == ["others-mine"]


def test_a_second_fault_of_the_same_id_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, "one", "weights-noise")
    with pytest.raises(ValueError, match="two faults have the id 'weights-noise'"):
        all_faults()


def test_an_entry_point_that_names_something_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, "wrong", "others-mine")
    with pytest.raises(TypeError, match=r"entry point 'mine' .* is no Fault"):
        all_faults()
