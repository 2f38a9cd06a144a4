"""Is a text garbage: empty, damaged, leaking markers, repeating itself, or a salad of tokens?

The question is whether something broke between the weights and the text, not whether the answer is
good. So every rule here is one that sound text, in any script, prose or code, passes; short answers
("4", "Paris.") get the benefit of the doubt except for damage and loops.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pytest_aprqa.judge.garbage_damage import find_damage
from pytest_aprqa.judge.garbage_leak import find_leak
from pytest_aprqa.judge.garbage_repetition import find_repetition
from pytest_aprqa.judge.garbage_salad import find_salad
from pytest_aprqa.observation import FinishReason

MOST_CHARACTERS = 8_000  # of a text that are looked at; the first and the last half of them


class GarbageKind(StrEnum):
    """What makes a text garbage."""

    EMPTY = "empty"
    DAMAGED = "damaged"
    LEAKED = "leaked"
    REPETITIVE = "repetitive"
    SALAD = "salad"


@dataclass(frozen=True, slots=True)
class GarbageReport:
    """What was found in a text.

    Attributes:
        kinds: the kinds of garbage, none for a sound text.
        reasons: one sentence for each kind, same order.
    """

    kinds: tuple[GarbageKind, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def is_garbage(self) -> bool:
        """Whether anything was found."""
        return bool(self.kinds)


def inspect_text(
    text: str,
    *,
    finish: FinishReason | None = None,
    logprobs: Sequence[float] | None = None,
    special_tokens: Collection[str] = (),
    prompt: str = "",
) -> GarbageReport:
    """Inspect a model's text.

    Args:
        text: the model's text only.
        finish: why it ended. A text that ended by itself may close with half a character less
            than one that was cut off at its token limit.
        logprobs: natural log-probability of each token of the text **under the reference**; they
            decide whether it is a salad. The tested model's own are no evidence: a broken model
            may be sure of its nonsense.
        special_tokens: texts of the tokenizer's special tokens.
        prompt: what was asked; markers and loops that stand in it may be quoted by the answer.

    Returns:
        Everything found, most certain kind first.
    """
    if not text.strip():
        return GarbageReport((GarbageKind.EMPTY,), ("the answer is empty",))
    if len(text) > MOST_CHARACTERS:
        text = text[: MOST_CHARACTERS // 2] + text[-MOST_CHARACTERS // 2 :]
    found = [
        (GarbageKind.DAMAGED, find_damage(text, prompt, cut_off=finish is FinishReason.LENGTH)),
        (GarbageKind.LEAKED, find_leak(text, prompt, special_tokens)),
        (GarbageKind.REPETITIVE, find_repetition(text, prompt)),
        (GarbageKind.SALAD, find_salad(text, logprobs)),
    ]
    return GarbageReport(
        tuple(kind for kind, reason in found if reason),
        tuple(reason for _, reason in found if reason),
    )


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """How often `inspect_text` erred on texts whose nature was known.

    Attributes:
        sound: sound texts looked at.
        false_alarms: how many of them were taken for garbage.
        garbage: broken texts looked at.
        missed: how many of them passed.
    """

    sound: int
    false_alarms: int
    garbage: int
    missed: int

    @property
    def specificity(self) -> float:
        """Share of the sound texts that pass."""
        return 1 - self.false_alarms / self.sound

    @property
    def sensitivity(self) -> float:
        """Share of the broken texts that are found."""
        return 1 - self.missed / self.garbage


# Measured by the tests of this module and published, kind by kind, in docs/garbage.md: sound text of
# twelve kinds; what broken models said, judged by the text alone.
ERROR_RATES = ErrorRates(sound=4_765, false_alarms=9, garbage=171, missed=49)
