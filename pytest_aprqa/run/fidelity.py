"""Score the same tokens on the engines of the reference and of an artifact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from pytest_aprqa.artifact.stored_dtype import stored_dtype
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.engine.protocol import Engine
from pytest_aprqa.judge.budget import Budget, budget_for
from pytest_aprqa.judge.kl import information
from pytest_aprqa.observation import TokenScores
from pytest_aprqa.playbook.check import Check
from pytest_aprqa.words import REFERENCE, Backend, Cell, Gateway

if TYPE_CHECKING:
    from pytest_aprqa.run.laboratory import Laboratory

TOP = 64
"""Tokens of each distribution that are compared one by one."""

_LOADED = (Gateway.G0, Gateway.G1, Gateway.G2)


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
        asked = ("reference scores", repr(sequences))
        ours = self.laboratory.once(
            asked, lambda: self.reference.score(sequences, TOP, self.timeout)
        )
        theirs = self.artifact.score(sequences, TOP, self.timeout)
        told = [float(information(scores).mean()) for scores in ours if scores.logprobs]
        budget = budget_for(
            self.reference.load(self.timeout).dtype,
            self.stored_dtype,
            same_weights=self.same_weights,
            information=sum(told) / len(told) if told else None,
        )
        return ours, theirs, budget


def pair_of(check: Check, laboratory: Laboratory) -> Pair:
    """Return the engines to compare, both loaded. Raises BlockedError when either is not sound."""
    from pytest_aprqa.run.laboratory import LOAD_TIMEOUT_FACTOR

    laboratory.require_reference(_LOADED)
    cell = check.cell.engine
    laboratory.require(_LOADED, cell)
    reference = laboratory.artifact(Cell(REFERENCE))
    artifact = laboratory.artifact(cell)
    return Pair(
        laboratory.engine(Cell(REFERENCE, Backend.CPU)),
        laboratory.engine(cell),
        stored_dtype(artifact),
        same_weights=reference.converted_from == artifact.digest,
        timeout=laboratory.timeout(check) * LOAD_TIMEOUT_FACTOR,
        laboratory=laboratory,
    )


def fidelity_text() -> str:
    """Return the text that I-1 scores: English prose, code, a table and figures of our own."""
    return (files("pytest_aprqa.playbook") / "fidelity.txt").read_text(encoding="utf-8")
