"""Score the same tokens on the engines of the reference and of an artifact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from pytest_aprqa.artifact.stored_dtype import stored_dtype
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.engine.protocol import Engine, EngineError
from pytest_aprqa.judge.budget import Budget, budget_for, other_arithmetic
from pytest_aprqa.judge.fidelity import first_not_finite
from pytest_aprqa.judge.kl import information, kl_by_position
from pytest_aprqa.observation import TokenScores
from pytest_aprqa.playbook.check import Check
from pytest_aprqa.words import LOADED, REFERENCE, REFERENCE_ENGINE, Cell

if TYPE_CHECKING:
    from pytest_aprqa.run.laboratory import Laboratory

TOP = 64
"""Tokens of each distribution that are compared one by one."""

LEAST_TOKENS = 192
"""Tokens of text that are scored unless the plan asks for more."""

WINDOW = 512
"""Most tokens that are scored as one sequence; a longer text is cut into windows."""

_LEAST_PIECE = 8
"""Tokens below which a piece of a sequence tells nothing of an engine's noise."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The engines of the reference and of the artifact that a check is about.

    Attributes:
        stored_dtype: of most of the artifact's weights.
        same_weights: the reference was made from this very artifact, so only arithmetic differs.
        timeout: seconds either may take.
        laboratory: keeps the reference's scores for the next artifact.
    """

    reference: Engine
    artifact: Engine
    stored_dtype: DType
    same_weights: bool
    timeout: float
    laboratory: Laboratory

    @property
    def context_length(self) -> int:
        """Most tokens that both accept."""
        loads = (engine.load(self.timeout) for engine in (self.reference, self.artifact))
        return min(load.context_length for load in loads)

    def score(
        self, sequences: Sequence[Sequence[int]]
    ) -> tuple[list[TokenScores], list[TokenScores], Budget]:
        """Return both sides' scores of token sequences, and what they may differ by."""
        asked, limit = repr(sequences), self.timeout * _times(sequences)
        ours = self.laboratory.once(
            ("reference scores", asked), lambda: self.reference.score(sequences, TOP, limit)
        )
        theirs = self.artifact.score(sequences, TOP, limit)
        told = [float(information(scores).mean()) for scores in ours if scores.logprobs]
        dtype = self.reference.load(self.timeout).dtype
        budget = budget_for(
            dtype,
            self.stored_dtype,
            same_weights=self.same_weights,
            reference_noise=max(
                self._noise(ours, other)
                for other in ("", other_arithmetic(dtype, self.stored_dtype))
            ),
            information=sum(told) / len(told) if told else None,
        )
        return ours, theirs, budget

    def _noise(self, scores: Sequence[TokenScores], dtype: str) -> float:
        """Return the mean KL of the reference against itself in another batch and dtype, in nats.

        Half of the longest sequence is scored again, which is right by itself: no position sees
        what comes after it. 0 where there is too little of it, it is not finite, or the engine
        cannot compute in the dtype; "" is its own.
        """
        longest = max(scores, key=lambda s: len(s.token_ids), default=None)
        if longest is None or (count := len(longest.token_ids) // 2) < _LEAST_PIECE:
            return 0.0
        whole = beginning(longest, count)
        if first_not_finite([whole]):
            return 0.0
        return self.laboratory.once(
            ("reference noise", f"{dtype} {whole.token_ids}"), lambda: self._differs(whole, dtype)
        )

    def _differs(self, whole: TokenScores, dtype: str) -> float:
        try:
            again = self.reference.score([whole.token_ids], TOP, self.timeout, dtype)
        except EngineError:
            if dtype:
                return 0.0
            raise
        return 0.0 if first_not_finite(again) else float(kl_by_position(whole, again[0]).mean())


def beginning(scores: TokenScores, count: int) -> TokenScores:
    """Return the scores of the first tokens of a sequence."""
    return TokenScores(
        scores.token_ids[:count],
        scores.logprobs[: count - 1],
        scores.top_ids[: count - 1],
        scores.top_logprobs[: count - 1],
    )


def windows(tokens: Sequence[int], most: int) -> list[Sequence[int]]:
    """Return tokens cut into sequences of at most so many, and of `WINDOW` at most."""
    width = min(most, WINDOW)
    cut = [tokens[start : start + width] for start in range(0, len(tokens), width)]
    return [window for window in cut if len(window) > 1]


def _times(sequences: Sequence[Sequence[int]]) -> float:
    """Return how many times the usual limit scoring may take: it grows with the tokens."""
    return max(1.0, sum(map(len, sequences)) / LEAST_TOKENS)


def pair_of(check: Check, laboratory: Laboratory) -> Pair:
    """Return the engines to compare, both loaded. Raises BlockedError when either is not sound."""
    from pytest_aprqa.run.laboratory import LOAD_TIMEOUT_FACTOR

    laboratory.require_reference(LOADED)
    cell = check.cell.engine
    laboratory.require(LOADED, cell)
    reference = laboratory.artifact(Cell(REFERENCE))
    artifact = laboratory.artifact(cell)
    return Pair(
        laboratory.engine(REFERENCE_ENGINE),
        laboratory.engine(cell),
        stored_dtype(artifact),
        same_weights=reference.converted_from == artifact.digest,
        timeout=laboratory.timeout(check) * LOAD_TIMEOUT_FACTOR,
        laboratory=laboratory,
    )


def fidelity_text() -> str:
    """Return the text that I-1 scores: prose, code, tables and figures of our own.

    It begins with what the shortest runs score, so that figures of all of them can be compared.
    """
    return "\n".join((opening_text(), _text("fidelity_more.txt")))


def opening_text() -> str:
    """Return the beginning of that text, some 900 tokens, for whoever needs no more."""
    return _text("fidelity.txt")


def _text(name: str) -> str:
    return (files("pytest_aprqa.playbook") / name).read_text(encoding="utf-8")
