"""The metadata that goes into APR and GGUF files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import prod
from typing import Any

from pytest_aprqa.artifact.config_apr import config_to_apr
from pytest_aprqa.artifact.config_gguf import config_to_gguf
from pytest_aprqa.artifact.contents import ModelContents
from pytest_aprqa.artifact.dtypes import PLAIN_BYTES, block_of, padded_nbytes
from pytest_aprqa.artifact.gguf_value import GgufType, GgufValue
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.artifact.tensor_source import TensorSource
from pytest_aprqa.artifact.tokenizer import vocabulary_to_apr, vocabulary_to_gguf

# llama.cpp's `llama_ftype`, by the dtype most matrices have.
_FILE_TYPES = {
    DType.F32: 0,
    DType.F16: 1,
    DType.Q4_0: 2,
    DType.Q4_1: 3,
    DType.Q8_0: 7,
    DType.Q5_0: 8,
    DType.Q5_1: 9,
    DType.Q2_K: 10,
    DType.Q3_K: 11,
    DType.Q4_K: 14,
    DType.Q5_K: 16,
    DType.Q6_K: 18,
    DType.BF16: 32,
}
_APR_BITS = {DType.APR_Q4: 4, DType.APR_Q8: 8, DType.Q4_K: 4, DType.Q6_K: 6}
_QUANTIZATION_VERSION = 2  # GGML_QNT_VERSION
_TOKEN_TYPES = "tokenizer.ggml.token_type"


def apr_metadata(contents: ModelContents, tensors: Sequence[TensorSource]) -> dict[str, Any]:
    """Return the metadata of an APR file with these tensors."""
    metadata = {
        **config_to_apr(contents.config),
        "license": None,
        "data_source": None,
        "data_license": None,
        "total_size": sum(padded_nbytes(tensor.dtype, tensor.shape) for tensor in tensors),
        "param_count": sum(prod(tensor.shape) for tensor in tensors),
    }
    quantization = _quantization(tensors)
    if quantization is not None:
        metadata["quantization"] = quantization
    if contents.name:
        metadata["name"] = contents.name
    if contents.vocabulary is not None:
        metadata |= vocabulary_to_apr(contents.vocabulary.padded(contents.config.vocab_size))
    return metadata


def _quantization(tensors: Sequence[TensorSource]) -> dict[str, Any] | None:
    """Return what APR states of the type most matrices have, None when it is a plain one."""
    dtype = _common_dtype(tensors)
    if dtype in PLAIN_BYTES:
        return None
    block = block_of(dtype)
    return {
        "quant_type": dtype.value.lower(),
        "bits": _APR_BITS[dtype],
        "block_size": block.elements if block.elements > 1 else None,
        "symmetric": dtype is not DType.Q4_K,
    }


def _common_dtype(tensors: Sequence[TensorSource]) -> DType:
    dtypes = Counter(tensor.dtype for tensor in tensors if len(tensor.shape) > 1)
    return dtypes.most_common(1)[0][0]


def gguf_metadata(contents: ModelContents, tensors: Sequence[TensorSource]) -> list[GgufValue]:
    """Return the key-values of a GGUF file with these tensors."""
    values: dict[str, Any] = {
        "general.architecture": contents.config.architecture.gguf,
        "general.type": "model",
        "general.name": contents.name or _name(contents),
        "general.file_type": _FILE_TYPES.get(_common_dtype(tensors), 0),
        "general.quantization_version": _QUANTIZATION_VERSION,
        **config_to_gguf(contents.config),
    }
    if contents.vocabulary is not None:
        values |= vocabulary_to_gguf(contents.vocabulary.padded(contents.config.vocab_size))
    return [_gguf_value(key, value) for key, value in values.items()]


def _name(contents: ModelContents) -> str:
    """Return a name for a model that has none.

    Only by the name of Phi-3 llama.cpp can be told that special tokens swallow the white space
    after them.
    """
    vocabulary = contents.vocabulary
    return "Phi-3" if vocabulary is not None and vocabulary.strips_after else "model"


def _gguf_value(key: str, value: Any) -> GgufValue:
    if isinstance(value, list):
        element = GgufType.INT32 if key == _TOKEN_TYPES else _scalar_type(next(iter(value), ""))
        return GgufValue(key, GgufType.ARRAY, value, element)
    return GgufValue(key, _scalar_type(value), value)


def _scalar_type(value: Any) -> GgufType:
    if isinstance(value, bool):
        return GgufType.BOOL
    if isinstance(value, int):
        return GgufType.UINT32
    return GgufType.FLOAT32 if isinstance(value, float) else GgufType.STRING
