"""Whether the prompt of an edge case reached the model as it was written."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_aprqa.judge.divergence import first_difference
from pytest_aprqa.judge.garbage_damage import find_damage

PROMPT_FAULT = "prompt_fault"
"""Key of the observation that says how another prompt was fed than was asked."""

ROUND_TRIP = "Z\u00fcrich caf\u00e9, na\u00efve \u2013 5 \u20ac"
"""A text with characters of two and three bytes, for every tokenizer to give back."""

_ADDED = 2
"""Most tokens that an engine puts around a raw prompt: a start and an end."""


def unlike_asked(asked: Sequence[int], fed: Sequence[int] | None) -> str:
    """Return how the tokens that were fed differ from those of the prompt, or an empty string.

    Args:
        asked: tokens of the prompt as plain text.
        fed: tokens that the engine says it was fed; None when it does not tell.
    """
    if fed is None:
        return ""
    added = len(fed) - len(asked)
    places = range(added + 1) if 0 <= added <= _ADDED else ()
    if any(list(fed[at : at + len(asked)]) == list(asked) for at in places):
        return ""
    if added < 0:
        return f"of the {len(asked)} tokens of the prompt {len(fed)} were fed, and nobody said so"
    position = first_difference(fed, asked)
    return (
        f"the prompt was fed as {len(fed)} tokens, as plain text it has {len(asked)}; "
        f"they part at token {position}: what a user wrote as text must stay text"
    )


def not_given_back(decoded: str) -> str:
    """Return how `ROUND_TRIP` was damaged on its way through the tokenizer, or an empty string."""
    damage = find_damage(decoded, ROUND_TRIP)
    return f"{ROUND_TRIP!r} comes back from its tokens as {decoded!r}: {damage}" if damage else ""
