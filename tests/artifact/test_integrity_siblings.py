from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pytest_aprqa.artifact.integrity_content import check_contents
from pytest_aprqa.artifact.look import look_through
from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.artifact.safetensors_write import write_safetensors
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.artifact.tensor_source import TensorSource
from pytest_aprqa.observation import Severity

NAME = "model.layers.{}.mlp.up_proj.weight"
Matrices = list[np.ndarray]


def matrices(count: int = 6, width: int = 64) -> Matrices:
    rng = np.random.default_rng(3)
    return [(rng.standard_normal((48, width)) * 0.05).astype(np.float32) for _ in range(count)]


def found(place: Path, layers: Matrices, dtype: DType = DType.F32) -> list[tuple[str, str]]:
    sources = [TensorSource.of(NAME.format(n), layer, dtype) for n, layer in enumerate(layers)]
    write_safetensors(place / "model.safetensors", sources)
    with open_tensors(place / "model.safetensors") as file:
        findings = check_contents(file, look_through(file)).findings
    assert all(finding.severity is Severity.WARNING for finding in findings)
    return [(finding.rule, finding.where) for finding in findings]


@pytest.mark.parametrize("dtype", [DType.F32, DType.BF16])
@pytest.mark.parametrize("factor", [1.0001, 0.5, -1.0, 3.0])
def test_a_copy_but_for_a_factor_is_found(tmp_path: Path, dtype: DType, factor: float) -> None:
    layers = matrices()
    layers[4] = layers[1] * np.float32(factor)
    assert found(tmp_path, layers, dtype) == [("G0-REPEATED-TENSOR", NAME.format(4))]


@pytest.mark.parametrize("factor", [1000.0, 100.0, 0.01, 0.0001])
def test_a_layer_of_another_scale_is_found(tmp_path: Path, factor: float) -> None:
    layers = matrices()
    layers[2] *= np.float32(factor)
    assert found(tmp_path, layers) == [("G0-SCALE", NAME.format(2))]


def test_layers_may_differ_by_some_times(tmp_path: Path) -> None:
    layers = matrices()
    for number, layer in enumerate(layers):
        layer *= np.float32(2.0**number)
    assert found(tmp_path, layers) == []


def test_one_large_element_makes_no_layer_odd(tmp_path: Path) -> None:
    layers = matrices()
    layers[3][5, 7] = 20
    assert found(tmp_path, layers) == []


def test_of_two_layers_none_is_the_odd_one(tmp_path: Path) -> None:
    one, other = matrices(2)
    assert found(tmp_path, [one, other * np.float32(1000)]) == []


def test_matrices_too_small_to_tell_are_not_taken_for_copies(tmp_path: Path) -> None:
    one, other = (layer[:1, :4] for layer in matrices(2))
    assert found(tmp_path, [one, one * 2, other]) == []
