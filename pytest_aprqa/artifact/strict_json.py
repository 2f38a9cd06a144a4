"""JSON from a file that may be hostile: an object, and only what the JSON standard allows."""

from __future__ import annotations

import json
from typing import Any, NoReturn


class JsonError(ValueError):
    """The bytes are no JSON object; the message says why and where."""


def parse_object(data: bytes, *, unique_keys: bool = True) -> dict[str, Any]:
    """Parse a UTF-8 JSON object.

    Args:
        data: the text.
        unique_keys: refuse a key that occurs twice in one object; otherwise the last one wins.

    Raises:
        JsonError: on anything else, also NaN and Infinity, which are not JSON, and on nesting too
            deep to follow.
    """
    pairs = _unique if unique_keys else None
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=pairs, parse_constant=_refuse)
    except UnicodeDecodeError as error:
        raise JsonError(f"not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise JsonError("nested too deeply") from None
    except JsonError:
        raise
    except ValueError as error:
        raise JsonError(str(error)) from None
    if b"\\u" in data:
        _refuse_lone_surrogates(value)
    if not isinstance(value, dict):
        raise JsonError(f"expected an object, found {type(value).__name__}")
    return value


def is_count(value: object) -> bool:
    """Whether a parsed value is a non-negative integer (and not true or false)."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _refuse_lone_surrogates(value: object) -> None:
    """Raise JsonError on half a surrogate pair, which no text encoding can carry."""
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (UnicodeEncodeError, RecursionError):
        raise JsonError("a string holds half a surrogate pair") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise JsonError(f"key {key!r} occurs twice")
            seen.add(key)
    return found


def _refuse(constant: str) -> NoReturn:
    raise JsonError(f"{constant} is not JSON")
