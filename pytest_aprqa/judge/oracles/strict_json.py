"""JSON as its standard has it."""

from __future__ import annotations

import json
from typing import Any, Never


def loads(text: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: it is none; NaN and Infinity, which Python reads, are no JSON.
        RecursionError: it is nested too deeply.
    """
    return json.loads(text, parse_constant=_refuse)


def _refuse(name: str) -> Never:
    raise ValueError(f"{name} is no JSON")
