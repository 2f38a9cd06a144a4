"""Files of any maker state their own dtypes; what they do not state is a silent change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_aprqa.artifact.conversion_record import declared_dtypes
from pytest_aprqa.artifact.convert import convert
from pytest_aprqa.artifact.digest import DigestCache
from pytest_aprqa.artifact.files import make_artifact
from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.artifact.stated_dtype import stated_dtype
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.words import Format

MATRIX = "model.layers.0.mlp.up_proj.weight"
Q4_K_M = {"general.file_type": 15}
Q8 = {"quantization": {"quant_type": "int8", "bits": 8, "symmetric": True}}


@pytest.mark.parametrize("found", [DType.Q4_K, DType.Q6_K, DType.Q5_0, DType.Q8_0])
def test_a_mixture_may_raise_a_matrix_to_a_type_of_more_bits(found: DType) -> None:
    assert stated_dtype(Format.GGUF, Q4_K_M, MATRIX, found, (64, 256)) is found


@pytest.mark.parametrize("found", [DType.Q2_K, DType.F32, DType.F16])
def test_a_mixture_neither_lowers_a_matrix_nor_leaves_it_out(found: DType) -> None:
    assert stated_dtype(Format.GGUF, Q4_K_M, MATRIX, found, (64, 256)) is DType.Q4_K


def test_a_matrix_that_is_no_whole_number_of_blocks_stays_a_float() -> None:
    assert stated_dtype(Format.GGUF, Q4_K_M, MATRIX, DType.F16, (64, 100)) is DType.F16


def test_a_vector_of_a_gguf_is_always_f32() -> None:
    assert stated_dtype(Format.GGUF, {}, "norm", DType.BF16, (64,)) is DType.F32


def test_a_file_of_one_float_type_states_just_that_type() -> None:
    bf16 = {"general.file_type": 32}
    assert stated_dtype(Format.GGUF, bf16, MATRIX, DType.F32, (64, 256)) is DType.BF16
    assert stated_dtype(Format.GGUF, bf16, MATRIX, DType.Q8_0, (64, 256)) is DType.BF16


@pytest.mark.parametrize("metadata", [{}, {"general.file_type": 1024}, {"general.file_type": 999}])
def test_a_type_nobody_knows_states_nothing(metadata: dict[str, Any]) -> None:
    assert stated_dtype(Format.GGUF, metadata, MATRIX, DType.Q4_K, (64, 256)) is None


def test_an_apr_states_its_quantisation_and_small_tensors_stay_as_they_are() -> None:
    assert stated_dtype(Format.APR, Q8, MATRIX, DType.APR_Q8, (64, 256)) is DType.APR_Q8
    assert stated_dtype(Format.APR, Q8, MATRIX, DType.F32, (8, 8)) is DType.F32
    assert stated_dtype(Format.APR, Q8, MATRIX, DType.F32, (64, 256)) is DType.APR_Q8
    assert stated_dtype(Format.APR, Q8, MATRIX, DType.APR_Q4, (64, 256)) is DType.APR_Q8
    unknown = {"quantization": {"quant_type": "mine", "bits": 3, "symmetric": True}}
    assert stated_dtype(Format.APR, unknown, MATRIX, DType.APR_Q4, (64, 256)) is None


@pytest.mark.parametrize(
    ("form", "quantization"), [(Format.APR, "APR_Q8"), (Format.APR, "Q4_K"), (Format.GGUF, "Q8_0")]
)
def test_what_we_convert_states_each_change_without_its_record(
    tiny_models: Any, tmp_path: Path, form: Format, quantization: str
) -> None:
    reference = tiny_models.artifact(tiny_models.names[0])
    made = convert(reference, form, tmp_path / "made", quantization)
    alone = make_artifact(form, made.path, "found", DigestCache())
    recorded, stated = declared_dtypes(reference, made), declared_dtypes(reference, alone)
    assert recorded
    assert {name: stated[name] for name in recorded} == recorded
    if form is Format.APR:
        with open_tensors(made.path) as file:
            assert file.metadata["quantization"]["quant_type"] == quantization.lower()
