"""RoPE frequency factors: tensors in GGUF, parameters in config.json."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_aprqa.artifact.config import ModelConfig
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.artifact.tensor_source import TensorSource

ROPE_FACTORS = "rope_freqs.weight"
LONG_FACTORS = "rope_factors_long.weight"
SHORT_FACTORS = "rope_factors_short.weight"
FACTOR_TENSORS = (ROPE_FACTORS, LONG_FACTORS, SHORT_FACTORS)

# The values of every Llama 3.x release; GGUF keeps only what follows from them.
_LLAMA3_LOW, _LLAMA3_HIGH, _LLAMA3_CONTEXT = 1.0, 4.0, 8192
_TOLERANCE = 1e-4


def factor_tensors(config: ModelConfig) -> list[TensorSource]:
    """Return the tensors of factors a GGUF file of this configuration must hold; mostly none."""
    scaling = config.rope_scaling or {}
    kind = scaling.get("rope_type")
    if kind == "llama3":
        factors = llama3_factors(scaling, config.rope_theta, config.head_dim)
        return [_tensor(ROPE_FACTORS, factors)]
    if kind == "longrope":
        named = ((LONG_FACTORS, "long_factor"), (SHORT_FACTORS, "short_factor"))
        return [_tensor(name, np.asarray(scaling[key], np.float32)) for name, key in named]
    return []


def llama3_factors(
    scaling: Mapping[str, Any], rope_theta: float, head_dim: int
) -> npt.NDArray[np.float32]:
    """Return what each rotary frequency is divided by, shape (head_dim / 2,).

    The rule of Llama 3.1: long wavelengths are divided by `factor`, short ones are left, between
    the two limits the divisor is interpolated (transformers, `_compute_llama3_parameters`).
    """
    factor = float(scaling["factor"])
    low, high = float(scaling["low_freq_factor"]), float(scaling["high_freq_factor"])
    context = float(scaling["original_max_position_embeddings"])
    frequencies = rope_theta ** -(np.arange(0, head_dim, 2, dtype=np.float64) / head_dim)
    turns = context * frequencies / (2 * math.pi)
    smooth = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return (1 / ((1 - smooth) / factor + smooth)).astype(np.float32)


def llama3_scaling(
    factors: npt.NDArray[np.float32], rope_theta: float, head_dim: int
) -> dict[str, Any] | None:
    """Return the config.json parameters these factors follow from, or None when none is known.

    The parameters are recognised by computing the factors again.
    """
    scaling: dict[str, Any] = {
        "rope_type": "llama3",
        "factor": float(factors.max()),
        "low_freq_factor": _LLAMA3_LOW,
        "high_freq_factor": _LLAMA3_HIGH,
        "original_max_position_embeddings": _LLAMA3_CONTEXT,
    }
    expected = llama3_factors(scaling, rope_theta, head_dim)
    same = expected.shape == factors.shape and np.allclose(factors, expected, rtol=_TOLERANCE)
    return scaling if same else None


def _tensor(name: str, values: npt.NDArray[np.float32]) -> TensorSource:
    return TensorSource(name, DType.F32, values.shape, lambda: values.view(np.uint8))
