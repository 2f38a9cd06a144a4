"""Sections that playbooks carry for other tools: checked, kept, not acted on.

Each is marked with what to use instead, and the user is told (`Playbook.notices`).
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from pytest_aprqa.playbook.fields import Flag, Inert, NoBoolean, NonNegative, Section


def _shape(value: Any) -> str:
    return "list" if isinstance(value, list | tuple) else "mapping"


class Action(Section):
    """Something a state does."""

    action: str


class Transition(Section):
    """A step from one state to another, in either of its two spellings."""

    event: str | None = None
    source: str | None = Field(default=None, alias="from")
    to: str | None = None
    target: str | None = None
    action: str | None = None
    guards: tuple[str, ...] = ()


class State(Section):
    """A state with its transitions."""

    on_enter: tuple[Action, ...] = ()
    on_exit: tuple[Action, ...] = ()
    transitions: tuple[Transition, ...] = ()


class StateMachine(Section):
    """A life cycle."""

    enabled: Flag = True
    initial: str | None = None
    states: Annotated[
        Annotated[tuple[str, ...], Tag("list")] | Annotated[dict[str, State], Tag("mapping")],
        Discriminator(_shape),
    ] = Field(default_factory=dict)
    transitions: tuple[Transition, ...] = ()


class Switched(Section):
    """A section that is on or off."""

    enabled: Flag = False
    gates: tuple[str, ...] = ()


class FormatValidation(Switched):
    """Checks of file headers."""

    checks: tuple[str, ...] = ()


class TensorDiff(Switched):
    """Comparison of tensors."""

    filter: str | None = None


class InferenceCompare(Switched):
    """Comparison of one answer over formats."""

    prompt: str | None = None
    max_tokens: Annotated[int, Field(ge=1), NoBoolean] = 10
    tolerance: NonNegative = 1e-5


class Fingerprint(Switched):
    """Statistics of tensors."""

    tensors: str = "all"
    stats: tuple[str, ...] = ()


class StatsTolerance(Section):
    """Tolerances by kind of tensor."""

    layernorm: NonNegative = 0.001
    embedding: NonNegative = 0.1
    attention: NonNegative = 0.01


class ValidateStats(Switched):
    """Statistics against a stored reference."""

    reference: str | None = None
    tolerance: StatsTolerance = Field(default_factory=StatsTolerance)


class DifferentialTests(Section):
    """Comparisons of formats; this version makes them for every converted artifact."""

    format_validation: Annotated[
        FormatValidation | None, Inert("covered by gateway G0, which checks every file")
    ] = None
    tensor_diff: Annotated[
        TensorDiff | None, Inert("covered by I-2 to I-4, which compare every tensor")
    ] = None
    inference_compare: Annotated[
        InferenceCompare | None,
        Inert("covered by I-1 and format-parity; their budgets depend on the quantisation"),
    ] = None
    fingerprint: Annotated[
        Fingerprint | None, Inert("covered by I-4, which compares values by position")
    ] = None
    validate_stats: Annotated[
        ValidateStats | None,
        Inert("covered by I-4 against the reference itself; no stored statistics are read"),
    ] = None


class TracePayload(Switched):
    """A traced forward pass."""

    prompt: str | None = None


class KernelProfile(Section):
    """Which kernels an architecture exercises."""

    family: str | None = None
    kernel_ops: tuple[str, ...] = ()
    prompt_count: Annotated[int, Field(ge=0), NoBoolean] | None = None
    long_context: Flag = False
