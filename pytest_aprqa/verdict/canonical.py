"""One way to write a record as JSON, so that equal records have equal bytes and digests."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

from pydantic import BaseModel


def canonical_json(model: BaseModel, *, indent: int | None = None) -> str:
    """Return a model as ASCII JSON with sorted keys.

    Floats are written as the shortest text that reads back the same; NaN and the infinities,
    which JSON has no numbers for, as the strings "NaN", "Infinity" and "-Infinity".
    """
    separators = (",", ": ") if indent else (",", ":")
    plain = _plain(model.model_dump(mode="python"))
    return json.dumps(plain, sort_keys=True, allow_nan=False, indent=indent, separators=separators)


def digest(model: BaseModel) -> str:
    """Return the sha256 of a model's canonical JSON, as 64 hex digits."""
    return hashlib.sha256(canonical_json(model).encode("ascii")).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value + 0.0 if math.isfinite(value) else _not_finite(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _not_finite(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
