"""A check: one pytest item, one gate id, one category."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pytest_aprqa.words import Category, Cell, Gateway, Tier


class CheckKind(StrEnum):
    """Which procedure carries a check out."""

    GATEWAY = "gateway"
    SCENARIO = "scenario"
    PROPERTY = "property"
    PERFORMANCE = "performance"
    STABILITY = "stability"
    PARITY = "parity"
    INVARIANT = "invariant"
    REGRESSION = "regression"
    CONDITION = "condition"


LOOKING_BACK = frozenset({CheckKind.REGRESSION, CheckKind.CONDITION})
"""Procedures that judge what the other checks of the run have found."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class OracleSpec:
    """An oracle by name with its configuration, as the playbook gives it."""

    type: str
    config: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scenario:
    """What the model is asked, and how its answer is judged.

    Attributes:
        name: stable, `[A-Za-z0-9_.-]+`.
        prompt: the user's text; the last user turn when there are more.
        system: system message, chat and serve only.
        history: turns before the prompt, chat and serve only.
        oracles: all must say right; an empty tuple means only "not garbage" is asked.
        max_tokens, temperature, seed: decoding; temperature 0 is greedy.
        edge: the kind of edge case, or "" for an ordinary prompt. Edge cases are judged by how
            the engine copes, not by what it answers.
    """

    name: str
    prompt: str
    system: str | None = None
    history: tuple[Message, ...] = ()
    oracles: tuple[OracleSpec, ...] = ()
    max_tokens: int = 32
    temperature: float = 0.0
    seed: int = 42
    edge: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to find out, with all that is needed to do it.

    Attributes:
        name: last part of the node id, for instance "arithmetic-001[safetensors-cpu-run]".
        gate_id: stable id for people and tickets, for instance "F-CONTRACT-I4-001".
        category: the part of the score it counts in; None for gateways.
        subject: which gateway ("G1"), invariant ("I-4"), measurement ("decode-rate"), stability
            procedure ("repeat") or comparison ("modality") this is; the severity of a condition;
            "" for scenarios.
        needs: gateways that must have held before this check runs.
        params: what else the procedure wants, for instance the bound of a measurement.
        timeout: seconds the engine may take.
        line: 0-based line in the playbook it comes from.
        tiers: the tiers that include it.
    """

    name: str
    gate_id: str
    kind: CheckKind
    category: Category | None
    cell: Cell
    subject: str = ""
    scenario: Scenario | None = None
    needs: tuple[Gateway, ...] = ()
    params: dict[str, Any] = field(default_factory=dict)
    timeout: float = 60.0
    line: int = 0
    tiers: frozenset[Tier] = frozenset()
