"""Token salad: pieces of a vocabulary strung together without sense.

A broken model's pieces are each sound; their joints are not ("olumbia+lsi nunca/localENTS"). A
linear classifier weighs the short runs of characters across a text. Its weights were learned from
sound text (documentation and code of Python's standard library, translations into some ninety
languages) against pieces drawn at random from tokenizers' vocabularies; `benchmarks/garbage_table.py`
makes them.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from pytest_aprqa.judge.garbage_grams import grams

# A uniform choice among 32 000 tokens has -10.4 nats; sound text, scored by the model it is tested
# against, stays above -4 even where that model is small and the text is hard.
SALAD_NATS = -6.0
SOUND_NATS = -4.0
LEAST_TOKENS = 4

WEIGHT_UNIT = 1 / 16  # nats in one step of the table
# The weights of n grams are summed and divided by sqrt(n); sound text stays below this limit, which
# falls with sqrt(n) because a longer text shows more of what it is.
LIMIT = 3.0
LIMIT_SLOPE = 0.06
LEAST_GRAMS = 40
"""Grams a text must have, about 16 characters; shorter ones get the benefit of the doubt."""


def find_salad(text: str, logprobs: Sequence[float] | None = None) -> str | None:
    """Return why the text is a salad, or None.

    Args:
        text: the model's text.
        logprobs: natural log-probability of each of its tokens under the reference. Where they are
            clear they decide; where they are between, the text itself does.
    """
    if logprobs is not None and len(logprobs) >= LEAST_TOKENS:
        mean = sum(logprobs) / len(logprobs)
        if mean < SALAD_NATS:
            return f"the reference gives its tokens {mean:.1f} nats on average"
        if mean > SOUND_NATS:
            return None
    score = salad_score(text)
    return f"its pieces do not belong together (score {score:.1f})" if score > 0 else None


def salad_score(text: str) -> float:
    """Return how far the text is beyond the limit of sound text; positive means salad.

    Texts too short to tell get minus infinity.
    """
    found = grams(text)
    if len(found) < LEAST_GRAMS:
        return -math.inf
    table = _table()
    total = sum(table[gram] for gram in found) * WEIGHT_UNIT
    root = math.sqrt(len(found))
    return total / root - (LIMIT - LIMIT_SLOPE * root)


@cache
def _table() -> tuple[int, ...]:
    data = files(__package__).joinpath("garbage_table.bin").read_bytes()
    return tuple(byte - 128 for byte in zlib.decompress(data))
