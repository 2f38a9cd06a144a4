"""Oracle: the answer is the reference's answer, up to ties."""

from __future__ import annotations

from pydantic import Field

from pytest_aprqa.judge.oracles.oracle import (
    Case,
    Oracle,
    OracleAnswer,
    Role,
    not_applicable,
    right,
    wrong,
)
from pytest_aprqa.observation import Generation

# Two engines on identical weights differ by a mean KL of 3e-3 nats, which is a scatter of
# sqrt(2 * 0.003) = 0.08 nats in a log-probability; four times that is a tie.
TIE_NATS = 0.3


class AgreesWithReference(Oracle):
    """The answer has the tokens of the reference's answer up to the first tie.

    At the first token that differs, a small margin between the two best tokens means that either
    was a fair choice; what follows then cannot be compared.
    """

    tie_nats: float = Field(
        default=TIE_NATS,
        ge=0.0,
        allow_inf_nan=False,
        description="Largest margin between the two best tokens that counts as a tie",
    )

    @property
    def role(self) -> Role:
        """The reference itself has nothing to agree with."""
        return Role.WITNESS

    @property
    def needs_reference(self) -> bool:
        """Without it there is nothing to agree with."""
        return True

    def judge(self, case: Case) -> OracleAnswer:
        """Compare with the reference's tokens, or its text where there are none."""
        if case.reference is None or case.generation is None:
            return not_applicable("there is no reference answer to compare with")
        expected = f"the reference's answer, {_short(case.reference.text)}"
        if case.generation.text == case.reference.text:
            return right("the answer is the reference's, word for word", expected)
        mine, other = case.generation.token_ids, case.reference.token_ids
        if mine is None or other is None:
            return not_applicable("the texts differ, and without tokens a tie cannot be told")
        return self._compare(case.generation, mine, case.reference, other, expected)

    def _compare(
        self,
        generation: Generation,
        mine: tuple[int, ...],
        reference: Generation,
        other: tuple[int, ...],
        expected: str,
    ) -> OracleAnswer:
        at = next((i for i, (a, b) in enumerate(zip(mine, other, strict=False)) if a != b), None)
        if at is None:
            return self._one_ends_first(len(mine), len(other), expected)
        margins = [m for m in (_margin(generation, at), _margin(reference, at)) if m is not None]
        if not margins:
            return not_applicable(f"token {at} differs, and no margin says whether it was a tie")
        if min(margins) <= self.tie_nats:
            return right(
                f"the same tokens up to a tie at token {at}, margin {min(margins):.3f} nats",
                expected,
            ) if at else not_applicable(
                f"the first token is a tie, margin {min(margins):.3f} nats; nothing was compared"
            )  # fmt: skip
        return wrong(
            f"token {at} differs although the margin there is {min(margins):.3f} nats", expected
        )

    @staticmethod
    def _one_ends_first(mine: int, other: int, expected: str) -> OracleAnswer:
        if min(mine, other) == 0:
            return wrong("one of the answers has no token", expected)
        return right(f"the same {min(mine, other)} tokens", expected)


def _margin(generation: Generation, at: int) -> float | None:
    """Return by how many nats the chosen token led the best other one."""
    if not generation.logprobs or not generation.runner_up:
        return None
    if at >= min(len(generation.logprobs), len(generation.runner_up)):
        return None
    return abs(generation.logprobs[at] - generation.runner_up[at])


def _short(text: str, most: int = 80) -> str:
    return repr(text if len(text) <= most else text[:most] + "…")
