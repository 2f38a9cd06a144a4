"""YaRN: what it multiplies cosine and sine by, and how much of it GGUF can say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault

ATTENTION_KEY = "rope.scaling.attn_factor"

# What llama.cpp computes with; of most architectures it reads no key that says otherwise.
_ONLY = {"beta_fast": 32, "beta_slow": 1, "truncate": True}
_TOLERANCE = 1e-6  # FLOAT32


def yarn_to_gguf(scaling: Mapping[str, Any]) -> dict[str, float]:
    """Return the keys, without prefix, that say of YaRN what its factor does not.

    Args:
        scaling: as in config.json.

    Raises:
        ArtifactError: UNSUPPORTED, when a parameter has a value that GGUF cannot say.
    """
    for key, only in _ONLY.items():
        if scaling.get(key, only) not in (only, None):
            raise ArtifactError(
                ArtifactFault.UNSUPPORTED,
                f"YaRN with {key}={scaling[key]!r} cannot be written as GGUF, "
                f"which knows only {only!r}",
                where=key,
            )
    share = _attention(scaling) / _magnitude(float(scaling["factor"]))
    return {} if math.isclose(share, 1, rel_tol=_TOLERANCE) else {ATTENTION_KEY: share}


def yarn_attention_from_gguf(factor: float, share: float | None) -> dict[str, float]:
    """Return what config.json says of the attention of a GGUF, whose factor multiplies YaRN's."""
    if share is None or math.isclose(share, 1, rel_tol=_TOLERANCE):
        return {}
    return {"attention_factor": share * _magnitude(factor)}


def _attention(scaling: Mapping[str, Any]) -> float:
    """Return the factor as stated or computed (transformers, `_compute_yarn_parameters`)."""
    if scaling.get("attention_factor") is not None:
        return float(scaling["attention_factor"])
    factor = float(scaling["factor"])
    scale, whole = scaling.get("mscale"), scaling.get("mscale_all_dim")
    if scale and whole:
        return _magnitude(factor, float(scale)) / _magnitude(factor, float(whole))
    return _magnitude(factor)


def _magnitude(factor: float, scale: float = 1) -> float:
    return 1.0 if factor <= 1 else 0.1 * scale * math.log(factor) + 1
