"""Comparisons of formats that a playbook asks for by name: `differential_tests`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pytest_aprqa.playbook.fields import Flag, Inert, NoBoolean, NonNegative, PromptText, Section
from pytest_aprqa.playbook.profile import GATE_LABELS

_WHOLE = "I-4 compares every value of every tensor, so nothing is left out"


class Switched(Section):
    """A section that is on or off."""

    enabled: Flag = Field(default=False, description="Whether it is asked for")
    gates: Annotated[tuple[str, ...], GATE_LABELS] = Field(default=(), description="Labels")


class FormatValidation(Switched):
    """Checks of file headers: gateway G0, which is always planned."""

    checks: Annotated[tuple[str, ...], Inert("G0 makes every check of a file it knows")] = Field(
        default=(), description="Which checks"
    )


class TensorDiff(Switched):
    """Comparison of tensors: I-2, I-3 and I-4."""

    filter: Annotated[str | None, Inert(_WHOLE)] = Field(
        default=None, description="Parts of the names of tensors"
    )


class InferenceCompare(Switched):
    """Comparison of one answer over formats: format-parity."""

    prompt: PromptText | None = Field(
        default=None, description="Asked of both formats, beside the prompts that are always asked"
    )
    max_tokens: Annotated[int, Field(ge=1), NoBoolean] = Field(
        default=10, description="Most tokens of that answer"
    )
    tolerance: Annotated[
        NonNegative, Inert("the budget is that of the quantisation, which no fixed number knows")
    ] = Field(default=1e-5, description="Bound on the difference")


class Fingerprint(Switched):
    """Statistics of tensors: I-4."""

    tensors: Annotated[str, Inert(_WHOLE)] = Field(default="all", description="Which tensors")
    stats: Annotated[tuple[str, ...], Inert(_WHOLE)] = Field(
        default=(), description="Which statistics"
    )


class StatsTolerance(Section):
    """Tolerances by kind of tensor."""

    layernorm: NonNegative = 0.001
    embedding: NonNegative = 0.1
    attention: NonNegative = 0.01


class ValidateStats(Switched):
    """Statistics against those of the reference: I-4."""

    reference: Annotated[
        str | None, Inert("values are held against the SafeTensors, no stored statistics are read")
    ] = Field(default=None, description="File of statistics")
    tolerance: Annotated[
        StatsTolerance, Inert("a value may differ by what rounding to its dtype may do, no more")
    ] = Field(default_factory=StatsTolerance, description="Bounds on the differences")


class DifferentialTests(Section):
    """Comparisons of formats, each by the checks that make it."""

    format_validation: FormatValidation | None = Field(
        default=None, description="File headers: G0, which is always planned"
    )
    tensor_diff: TensorDiff | None = Field(
        default=None, description="Tensors: plans I-2, I-3 and I-4"
    )
    inference_compare: InferenceCompare | None = Field(
        default=None, description="One more prompt of format-parity, and I-1"
    )
    fingerprint: Fingerprint | None = Field(default=None, description="Values: plans I-4")
    validate_stats: ValidateStats | None = Field(default=None, description="Values: plans I-4")

    @property
    def invariants(self) -> tuple[str, ...]:
        """The invariants that the sections which are on ask for."""
        return tuple(dict.fromkeys(label for name in self.asked for label in _INVARIANTS[name]))

    @property
    def prompt(self) -> dict[str, str | int]:
        """What format-parity asks besides its own prompts, as parameters of the check."""
        asked = self.inference_compare
        if asked is None or not asked.enabled or asked.prompt is None:
            return {}
        return {"prompt": asked.prompt, "max_tokens": asked.max_tokens}

    @property
    def asked(self) -> tuple[str, ...]:
        """The sections that are on and compare formats, by name."""
        return tuple(n for n in _INVARIANTS if (section := getattr(self, n)) and section.enabled)


_INVARIANTS = {
    "tensor_diff": ("I-2", "I-3", "I-4"),
    "inference_compare": ("I-1",),
    "fingerprint": ("I-4",),
    "validate_stats": ("I-4",),
}
