"""One way to write a record as JSON, so that equal records have equal bytes and digests."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

from pydantic import BaseModel

_ENCODER = json.JSONEncoder(sort_keys=True, allow_nan=False, separators=(",", ":"))
_AS_THEY_ARE = frozenset((str, int, bool, type(None)))


def canonical_json(model: BaseModel) -> str:
    """Return a model as ASCII JSON on one line, with sorted keys.

    Floats are written as the shortest text that reads back the same; NaN and the infinities,
    which JSON has no numbers for, as the strings "NaN", "Infinity" and "-Infinity".
    """
    return _dumps(_plain(model.model_dump(mode="python")))


def canonical_lines(model: BaseModel) -> str:
    """Return `canonical_json` with a line for each field, and for each item of a field's list.

    So a file can be searched and compared line by line: a record of evidence is one.
    """
    plain = _plain(model.model_dump(mode="python"))
    fields = ",\n".join(f"{_dumps(name)}: {_lines(plain[name])}" for name in sorted(plain))
    return f"{{\n{fields}\n}}\n"


def _lines(value: Any) -> str:
    if not isinstance(value, list) or not value:
        return _dumps(value)
    items = ",\n".join(map(_dumps, value))
    return f"[\n{items}\n]"


def _dumps(plain: Any) -> str:
    return _ENCODER.encode(plain)


def digest(model: BaseModel) -> str:
    """Return the sha256 of a model's canonical JSON, as 64 hex digits."""
    return hashlib.sha256(canonical_json(model).encode("ascii")).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value + 0.0 if math.isfinite(value) else _not_finite(value)
    if isinstance(value, dict):
        return {
            str(key): item if type(item) in _AS_THEY_ARE else _plain(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [item if type(item) in _AS_THEY_ARE else _plain(item) for item in value]
    return value


def _not_finite(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
