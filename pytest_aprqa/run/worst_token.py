"""The token of the scored text at which an artifact is farthest from its reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_aprqa.playbook.check import Check
from pytest_aprqa.run.fidelity import fidelity_text, pair_of, windows

if TYPE_CHECKING:
    from pytest_aprqa.run.laboratory import Laboratory


def worst_token(check: Check, laboratory: Laboratory, kl: Sequence[float]) -> str:
    """Return the text of the token that is predicted where `kl`, by position, is largest."""
    if not kl:
        return ""
    pair = pair_of(check, laboratory)
    [tokens] = pair.reference.tokenize([fidelity_text()], special=False, timeout=pair.timeout)
    predicted = [token for text in windows(tokens, pair.context_length) for token in text[1:]]
    place = max(range(len(kl)), key=lambda position: kl[position])
    [text] = pair.reference.detokenize([[predicted[place]]], pair.timeout)
    return text
