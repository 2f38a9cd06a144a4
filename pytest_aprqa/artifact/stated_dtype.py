"""Which dtypes a file of any maker states its tensors to have, when no record of its making is there."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from pytest_aprqa.artifact.convert_dtype import SMALLEST_QUANTISED, quantization_dtype
from pytest_aprqa.artifact.dtypes import PLAIN_BYTES, block_of
from pytest_aprqa.artifact.model import ArtifactError
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.words import Format

_ROUTER = "mlp.gate.weight"
"""The matrix that chooses among experts, which llama.cpp never quantises."""


def stated_dtype(
    form: Format, metadata: Mapping[str, Any], name: str, found: DType, shape: tuple[int, ...]
) -> DType | None:
    """Return the dtype that a file states one of its tensors to have; None when it states none.

    A GGUF states the type of "most" matrices (`general.file_type`); mixtures such as Q4_K_M raise
    some of them to a type of more bits and none to one of fewer, and what is no whole number of
    blocks stays a float. Vectors are F32 in every GGUF. An APR file states its `quantization`.

    Args:
        form: of the file.
        metadata: of the file.
        name: of the tensor, as Hugging Face calls it.
        found: its dtype in the file.
        shape: its shape, row-major.
    """
    if form is Format.GGUF and len(shape) < 2:
        return DType.F32
    stated = _of_gguf(metadata) if form is Format.GGUF else _of_apr(metadata)
    if not stated:
        return None
    [most, *_] = stated
    if found in stated or most in PLAIN_BYTES:
        return found if found in stated else most
    if found in PLAIN_BYTES:
        return found if _stays_plain(form, name, most, shape) else most
    return found if _bits(found) >= min(map(_bits, stated)) else most


def _of_gguf(metadata: Mapping[str, Any]) -> tuple[DType, ...]:
    """Return the types that llama.cpp's name for the type of a file stands for."""
    from gguf.constants import LlamaFileType

    try:
        kind = LlamaFileType(metadata.get("general.file_type", LlamaFileType.GUESSED))
    except ValueError:
        return ()
    name = kind.name.removeprefix("MOSTLY_").removeprefix("ALL_")
    named = [dtype for dtype in DType if f"{name}_".startswith(f"{dtype}_")]
    family = f"{name.split('_')[0]}_"  # IQ3_XS is a mixture of types of other names
    return tuple(named or (dtype for dtype in DType if dtype.startswith(family)))


def _of_apr(metadata: Mapping[str, Any]) -> tuple[DType, ...]:
    stated = metadata.get("quantization")
    if not stated:
        return ()
    try:
        return (quantization_dtype(stated["quant_type"], Format.APR),)
    except ArtifactError:
        return ()


def _stays_plain(form: Format, name: str, most: DType, shape: tuple[int, ...]) -> bool:
    if form is Format.APR:
        return prod(shape) < SMALLEST_QUANTISED
    return name.endswith(_ROUTER) or bool(shape[-1] % block_of(most).elements)


def _bits(dtype: DType) -> float:
    """Return how many bits an element takes."""
    block = block_of(dtype)
    return 8 * block.nbytes / block.elements
