"""A judgement: what an observation means for its check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pytest_aprqa.words import Attribution, Outcome


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcome of a check with all that is needed to defend it.

    Nothing passes by emptiness: `corroborated` needs a positive count in `compared`.

    Attributes:
        outcome: how the check ended.
        reason: one sentence for people; what was found, not only that it failed.
        compared: how many of what were compared, for instance {"prompts": 1, "tokens": 12}.
        attribution: whose doing a failure is; None for a pass.
        expected: what would have been right, in words.
        metrics: named numbers with their unit in the name.

    Raises:
        ValueError: corroborated although nothing was compared.
    """

    outcome: Outcome
    reason: str
    compared: dict[str, int] = field(default_factory=dict)
    attribution: Attribution | None = None
    expected: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.outcome.passes and not any(count > 0 for count in self.compared.values()):
            raise ValueError(f"A judgement cannot be corroborated by nothing: {self.reason!r}")


def all_of(judgements: Sequence[Judgement]) -> Judgement:
    """Return the worst of several judgements, or all of them as one.

    Raises:
        IndexError: there is none.
    """
    for judgement in judgements:
        if judgement.outcome.fails:
            return judgement
    for judgement in judgements:
        if not judgement.outcome.executed:
            return judgement
    keys = dict.fromkeys(key for judgement in judgements for key in judgement.compared)
    return corroborated(
        " ".join(judgement.reason for judgement in judgements),
        {key: sum(j.compared.get(key, 0) for j in judgements) for key in keys},
        expected=judgements[0].expected,
        metrics={name: value for j in judgements for name, value in j.metrics.items()},
    )


def corroborated(
    reason: str,
    compared: dict[str, int],
    *,
    expected: str | None = None,
    metrics: dict[str, float] | None = None,
) -> Judgement:
    """Return a pass; `compared` must count something."""
    return Judgement(
        Outcome.CORROBORATED, reason, compared, expected=expected, metrics=metrics or {}
    )


def falsified(
    reason: str,
    attribution: Attribution,
    compared: dict[str, int] | None = None,
    *,
    expected: str | None = None,
    metrics: dict[str, float] | None = None,
) -> Judgement:
    """Return a failure and whose doing it is."""
    return Judgement(
        Outcome.FALSIFIED, reason, compared or {}, attribution, expected, metrics or {}
    )


def inconclusive(
    reason: str,
    attribution: Attribution | None = None,
    compared: dict[str, int] | None = None,
    *,
    expected: str | None = None,
    metrics: dict[str, float] | None = None,
) -> Judgement:
    """Return that nothing can be said, and why."""
    return Judgement(
        Outcome.INCONCLUSIVE, reason, compared or {}, attribution, expected, metrics or {}
    )
