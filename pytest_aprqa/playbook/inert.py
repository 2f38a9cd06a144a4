"""Sections that playbooks carry for other tools: checked, kept, not acted on.

Each is marked with what to use instead, and the user is told (`Playbook.notices`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from pytest_aprqa.playbook.differential import Switched
from pytest_aprqa.playbook.errors import FieldPath
from pytest_aprqa.playbook.fields import Flag, NoBoolean, Section


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

    def mentioned(self) -> Iterator[tuple[FieldPath, str]]:
        """Yield each state that is named, with the field that names it."""
        if self.initial is not None:
            yield ("initial",), self.initial
        yield from _ends(self.transitions, ())
        if isinstance(self.states, dict):
            for name, state in self.states.items():
                yield from _ends(state.transitions, ("states", name))


def _ends(transitions: Iterable[Transition], at: FieldPath) -> Iterator[tuple[FieldPath, str]]:
    for place, step in enumerate(transitions):
        ends = {"from": step.source, "to": step.to, "target": step.target}
        yield from (
            ((*at, "transitions", place, field), name) for field, name in ends.items() if name
        )


class TracePayload(Switched):
    """A traced forward pass."""

    prompt: str | None = None


class KernelProfile(Section):
    """Which kernels an architecture exercises."""

    family: str | None = None
    kernel_ops: tuple[str, ...] = ()
    prompt_count: Annotated[int, Field(ge=0), NoBoolean] | None = None
    long_context: Flag = False
