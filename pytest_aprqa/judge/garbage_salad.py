"""Token salad: pieces of a vocabulary strung together without sense.

A broken model's pieces are each sound; their joints are not ("olumbia+lsi nunca/localENTS"). A
linear classifier weighs the short runs of characters across a text. Its weights were learned from
sound text (documentation and code of Python's standard library, translations into some ninety
languages) against pieces drawn at random from tokenizers' vocabularies; `benchmarks/garbage_table.py`
makes them.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from itertools import accumulate

from pytest_aprqa.judge.garbage_grams import grams

# A uniform choice among 32 000 tokens has -10.4 nats; sound text, scored by the model it is tested
# against, stays above -4 even where that model is small and the text is hard.
SALAD_NATS = -4.5
SOUND_NATS = -4.0
LEAST_TOKENS = 4  # fewer must be as unlikely together as these
STRETCH = 12  # tokens in a row: a loop soon becomes likely, whatever it began with

WEIGHT_UNIT = 1 / 16  # nats in one step of the table
# The weights of n grams are summed and divided by sqrt(n); sound text stays below this limit, which
# falls with sqrt(n) because a longer text shows more of what it is.
LIMIT = 3.0
LIMIT_SLOPE = 0.06
# Shorter texts get the benefit of the doubt.
LEAST_GRAMS = 40
LEAST_WORDS, LEAST_CHARACTERS = 4, 60  # either will do

# "localENTS", "ECONDSget", "olumbia+lsi", "deem\\admin"; not "macOS", "HTTPServer", "a+b", "C:\\Users".
_JOINT = re.compile(
    r"(?<![a-z])[a-z]{4,30}[A-Z]{3,30}(?![A-Za-z])"
    r"|(?<![A-Za-z])[A-Z]{7,30}[a-z]{2}"
    r"|(?<![A-Za-z:\\])[A-Za-z]{4,30}[+^~\\][a-z]{3}(?![A-Za-z]{0,30}[\\=])"
)
LEAST_JOINTS = 2
_NOTE = re.compile(r"[A-G][#b♯♭]?m?[0-9]?")  # a tune is no salad
WORDS_A_JOINT = 4


def find_salad(text: str, logprobs: Sequence[float] | None = None) -> str | None:
    """Return why the text is a salad, or None.

    Args:
        text: the model's text.
        logprobs: natural log-probability of each of its tokens under the reference. Where they are
            clear they decide; where they are between, the text itself does.
    """
    if logprobs:
        mean, tokens = least_likely(logprobs)
        if mean < SALAD_NATS * max(1.0, LEAST_TOKENS / tokens):
            what = "its tokens" if tokens == len(logprobs) else f"{tokens} tokens in a row"
            return f"the reference gives {what} {mean:.1f} nats on average"
        if mean > SOUND_NATS and tokens >= LEAST_TOKENS:
            return None
    if glued := _glued(text):
        return f"its pieces do not belong together: {', '.join(glued[:3])}"
    score = salad_score(text)
    return f"its pieces do not belong together (score {score:.1f})" if score > 0 else None


def least_likely(logprobs: Sequence[float]) -> tuple[float, int]:
    """Return the least mean of `STRETCH` log-probabilities in a row, or of all, and of how many."""
    tokens = min(STRETCH, len(logprobs))
    sums = [0.0, *accumulate(logprobs)]
    least = min(end - begin for begin, end in zip(sums, sums[tokens:], strict=False))
    return least / tokens, tokens


def _glued(text: str) -> list[str]:
    """Return the joints of pieces that no word or name has, when there are too many for the text."""
    if "://" in text:
        return []  # addresses join words as they like
    joints = [match.group() for match in _JOINT.finditer(text)]
    if len(joints) < LEAST_JOINTS or len(joints) * WORDS_A_JOINT < len(text.split()):
        return []
    return joints


def salad_score(text: str) -> float:
    """Return how far the text is beyond the limit of sound text; positive means salad.

    Texts too short to tell, and tunes, get minus infinity.
    """
    words = text.split()
    if len(words) < LEAST_WORDS and len(text) < LEAST_CHARACTERS:
        return -math.inf
    if all(_NOTE.fullmatch(word.strip(",;|-")) for word in words):
        return -math.inf
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
