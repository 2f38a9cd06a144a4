"""Values written in one way only, so that equal playbooks have equal digests."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any


def canonical_json(value: Any) -> str:
    """Return plain values as JSON with sorted keys and no white space."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest_of(value: Any) -> str:
    """Return the sha256 of a value's canonical JSON, 64 hexadecimal digits."""
    return sha256(canonical_json(value).encode("utf-8", "surrogatepass")).hexdigest()
