"""Token salad: pieces of a vocabulary strung together without sense."""

from __future__ import annotations

from collections.abc import Sequence

# A uniform choice among 32 000 tokens has -10.4 nats; sound text, scored by the model it is tested
# against, stays above -4 even where that model is small and the text is hard.
SALAD_NATS = -6.0
LEAST_TOKENS = 4


def find_salad(text: str, logprobs: Sequence[float] | None = None) -> str | None:
    """Return why the text is a salad, or None."""
    if logprobs is not None and len(logprobs) >= LEAST_TOKENS:
        mean = sum(logprobs) / len(logprobs)
        if mean < SALAD_NATS:
            return f"the reference gives its tokens {mean:.1f} nats on average"
        return None
    return None
