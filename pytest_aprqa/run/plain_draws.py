"""Draws that follow from the seed alone.

Hypothesis mixes into what it draws the numbers it finds in the code of the modules loaded at the
time, which makes sense for a test of that code. Questions to a model must not depend on it.
"""

from __future__ import annotations

from typing import Any

from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, HypothesisProvider

BACKEND = "pytest-aprqa"


class PlainDraws(HypothesisProvider):
    """Hypothesis's own backend without constants."""

    def _maybe_draw_constant(self, *_: Any, **__: Any) -> None:
        return None


AVAILABLE_PROVIDERS[BACKEND] = f"{__name__}.{PlainDraws.__name__}"
