"""Which dtype each tensor gets in each format, and the record of every change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from pytest_aprqa.artifact.dtypes import PLAIN_BYTES, block_of, is_ggml_block, to_float32
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.row_order import retyped
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.artifact.tensor_source import TensorSource
from pytest_aprqa.words import Format

_FLOATS = (DType.F32, DType.F16, DType.BF16)
_WIDER_THAN_F32 = (DType.F64, DType.I64, DType.I32, DType.U64, DType.U32)
_HALVES = (DType.F16, DType.BF16)
# Of APR's types those that every reader of the format decodes alike.
_APR_TYPES = (*_FLOATS, DType.Q4_K, DType.Q6_K, DType.APR_Q4, DType.APR_Q8)
# `apr quantize` takes llama.cpp's q8_0 and q4_0 for its own types, though they are others.
_APR_WORDS = {
    "int8": DType.APR_Q8,
    "int4": DType.APR_Q4,
    "q8_0": DType.APR_Q8,
    "q4_0": DType.APR_Q4,
    "fp16": DType.F16,
    "q4k": DType.Q4_K,
}
# llama.cpp's names of mixtures. Their better types for some matrices are not copied: all get the one.
_MIXTURES = {"Q4_K_M": DType.Q4_K, "Q4_K_S": DType.Q4_K}
# `apr` itself leaves smaller tensors as they are.
SMALLEST_QUANTISED = 1024


@dataclass(frozen=True, slots=True)
class DTypeChange:
    """One tensor whose dtype the target does not keep.

    Attributes:
        tensor: its Hugging Face name.
        source, target: the dtypes.
        lossless: every value is known to be the same after the change.
    """

    tensor: str
    source: DType
    target: DType
    lossless: bool


def quantization_dtype(name: str, target: Format) -> DType:
    """Return the dtype a quantisation is named after: "Q8_0", or `apr`'s "int8".

    Raises:
        ArtifactError: UNSUPPORTED, naming it, when the format has no such type.
    """
    words = {dtype.value: dtype for dtype in DType} | _MIXTURES
    if target is Format.APR:
        words |= _APR_WORDS
    dtype = words.get(name, words.get(name.upper()))
    if dtype is None or not _can_make(dtype, target):
        possible = ", ".join(word for word, known in words.items() if _can_make(known, target))
        raise ArtifactError(
            ArtifactFault.UNSUPPORTED,
            f"quantisation {name!r} cannot be made for {target}; these can: {possible}",
        )
    return dtype


def _can_make(dtype: DType, target: Format) -> bool:
    if target is Format.APR:
        return dtype in _APR_TYPES
    return dtype in _FLOATS or (target is Format.GGUF and is_ggml_block(dtype))


def with_target_dtypes(
    tensors: Sequence[TensorSource],
    target: Format,
    quantization: DType | None,
    plain: Collection[str] = (),
) -> tuple[list[TensorSource], list[DTypeChange]]:
    """Return the tensors in the dtypes the target stores them in, and what changed.

    Without a quantisation each keeps its dtype where the format can hold it. GGUF keeps vectors in
    F32, as llama.cpp demands; going back they get the dtype of the matrices again where that
    loses nothing. With one the matrices get it, except those whose rows are not whole blocks of it
    and those named in `plain`. A matrix of one row is a vector.

    Raises:
        ArtifactError: UNSUPPORTED, when no matrix can have the quantisation.
    """
    matrices = Counter(tensor.dtype for tensor in tensors if not _is_vector(tensor))
    changed: list[TensorSource] = []
    changes: list[DTypeChange] = []
    for tensor in tensors:
        wanted = None if tensor.name in plain else quantization
        dtype = _target_dtype(tensor, target, wanted, matrices)
        changed.append(retyped(tensor, dtype))
        if dtype is not tensor.dtype:
            fits = dtype is DType.F32 and tensor.dtype not in _WIDER_THAN_F32
            lossless = fits or _holds_exactly(tensor, dtype)
            changes.append(DTypeChange(tensor.name, tensor.dtype, dtype, lossless))
    if quantization is not None and all(tensor.dtype is not quantization for tensor in changed):
        raise ArtifactError(
            ArtifactFault.UNSUPPORTED,
            f"no tensor can be {quantization} in {target}: "
            f"no row is whole blocks of {block_of(quantization).elements}, or all are too small",
        )
    return changed, changes


def _target_dtype(
    tensor: TensorSource, target: Format, quantization: DType | None, matrices: Counter[DType]
) -> DType:
    if target is Format.SAFETENSORS:
        return quantization or _safetensors_dtype(tensor, matrices)
    if _is_vector(tensor):
        plain = tensor.dtype if tensor.dtype in _FLOATS else DType.F32
        return DType.F32 if target is Format.GGUF else plain
    wanted = quantization or tensor.dtype
    if quantization is None:
        return wanted if _can_hold(target, wanted, tensor.shape) else DType.F32
    if not _fits(wanted, tensor.shape, target):
        return tensor.dtype if tensor.dtype in _FLOATS else DType.F32
    return wanted


def _is_vector(tensor: TensorSource) -> bool:
    return len(tensor.shape) == 1 or (len(tensor.shape) == 2 and tensor.shape[0] == 1)


def _safetensors_dtype(tensor: TensorSource, matrices: Counter[DType]) -> DType:
    if any(dtype not in PLAIN_BYTES for dtype in matrices):
        return DType.F32
    if tensor.dtype is DType.F32 and _is_vector(tensor) and len(matrices) == 1:
        (common,) = matrices
        if common in _HALVES and _holds_exactly(tensor, common):
            return common
    return tensor.dtype


def _can_hold(target: Format, dtype: DType, shape: tuple[int, ...]) -> bool:
    if target is Format.APR:
        return dtype in _APR_TYPES
    return dtype in _FLOATS or (is_ggml_block(dtype) and shape[-1] % block_of(dtype).elements == 0)


def _fits(dtype: DType, shape: tuple[int, ...], target: Format) -> bool:
    if target is Format.APR and dtype not in _FLOATS:
        return int(np.prod(shape)) >= SMALLEST_QUANTISED
    return shape[-1] % block_of(dtype).elements == 0


def _holds_exactly(tensor: TensorSource, dtype: DType) -> bool:
    """Whether every value of a tensor survives the way to a dtype and back.

    Asked of vectors only: to look at every matrix would read the model twice.
    """
    if dtype not in _FLOATS or not _is_vector(tensor):
        return False
    values = to_float32(tensor.data(), tensor.dtype, tensor.shape)
    back = retyped(tensor, dtype)
    return bool(np.array_equal(values, to_float32(back.data(), dtype, tensor.shape)))
