"""What tells garbage beside the text itself: special tokens, and what the reference makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_aprqa.artifact.model import ArtifactError
from pytest_aprqa.artifact.stated import stated_by
from pytest_aprqa.artifact.tokenizer import TokenType
from pytest_aprqa.engine.protocol import EngineError
from pytest_aprqa.observation import Generation
from pytest_aprqa.playbook.check import Check
from pytest_aprqa.run.observed import BlockedError
from pytest_aprqa.words import REFERENCE, REFERENCE_ENGINE, Cell, Gateway

if TYPE_CHECKING:
    from pytest_aprqa.run.laboratory import Laboratory

Logprobs = tuple[float, ...]

FAMILY = "judgements_in_the_run"
REFERENCE_LOGPROBS = "reference_logprobs"
SPECIAL_TOKENS = "special_tokens"
"""Where the evidence of G4 keeps what was found."""

_SOUND = (Gateway.G0, Gateway.G1, Gateway.G4)
_DIGITS = 4


def special_tokens(cell: Cell, laboratory: Laboratory) -> tuple[str, ...]:
    """Return what an artifact's tokenizer keeps out of text; nothing when it cannot be read."""
    artifact = laboratory.artifact(cell)
    try:
        vocabulary = stated_by(artifact).vocabulary
    except ArtifactError:
        return ()
    if vocabulary is None:
        return ()
    pairs = zip(vocabulary.tokens, vocabulary.types, strict=True)
    return tuple(text for text, kind in pairs if kind is TokenType.CONTROL and not text.isalnum())


def reference_logprobs(
    check: Check, laboratory: Laboratory, asked: Sequence[str], answers: Sequence[Generation]
) -> list[Logprobs]:
    """Return the reference's log-probability of each token of short answers of another artifact.

    The reference cuts the texts into its own tokens: those of a broken conversion may mean
    something else. Empty when the reference is not sound or cannot tell.
    """
    if check.cell.format is REFERENCE:
        return []
    try:
        laboratory.require_reference(_SOUND)
        return _score(check, laboratory, asked, answers)
    except (BlockedError, EngineError, ArtifactError):
        return []


def _score(
    check: Check, laboratory: Laboratory, asked: Sequence[str], answers: Sequence[Generation]
) -> list[Logprobs]:
    engine = laboratory.engine(REFERENCE_ENGINE)
    limit = laboratory.timeout(check) * len(answers)
    prompts = [answer.rendered_prompt or text for text, answer in zip(asked, answers, strict=True)]
    before = engine.tokenize(prompts, special=True, timeout=limit)
    after = engine.tokenize([answer.text for answer in answers], special=False, timeout=limit)
    sequences = [[*first, *then] for first, then in zip(before, after, strict=True)]
    # A text without tokens has nothing to score, and one token has nothing before it.
    places = [n for n, sequence in enumerate(sequences) if after[n] and len(sequence) > 1]
    scores = engine.score([sequences[n] for n in places], 1, limit)
    found: list[Logprobs] = [()] * len(answers)
    for place, score in zip(places, scores, strict=True):
        told = score.logprobs[-len(after[place]) :]
        found[place] = tuple(round(value, _DIGITS) for value in told)
    return found
