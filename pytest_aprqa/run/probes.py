"""Short answers of an engine that several checks of a cell look at, asked for once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_aprqa.engine.protocol import Request
from pytest_aprqa.observation import Generation
from pytest_aprqa.playbook.check import Check, Message
from pytest_aprqa.playbook.prompts import G4_PROMPTS
from pytest_aprqa.words import Cell

if TYPE_CHECKING:
    from pytest_aprqa.run.laboratory import Laboratory

PROBE_TOKENS = 24
ALONE_TOKENS = 16


def question(prompt: str, max_tokens: int, *, chat: bool) -> Request:
    """Return a question in the way the model was made for: as chat when it has a template."""
    return Request(
        prompt=None if chat else prompt,
        messages=(Message("user", prompt),) if chat else None,
        max_tokens=max_tokens,
    )


def probes(check: Check, laboratory: Laboratory, cell: Cell) -> list[Generation]:
    """Return the greedy answers of a cell's engine to the prompts of G4, asked as one batch."""
    at, key = _of_engine(check, cell)
    return laboratory.once(("probes", key), lambda: _ask_probes(at, laboratory))


def alone(check: Check, laboratory: Laboratory) -> Generation:
    """Return the greedy answer of a check's engine to the first prompt of G4, asked by itself."""
    at, key = _of_engine(check, check.cell)
    return laboratory.once(("alone", key), lambda: ask_alone(at, laboratory))


def ask_alone(check: Check, laboratory: Laboratory) -> Generation:
    """Ask the first prompt of G4 by itself, now."""
    chat = laboratory.load(check).has_chat_template
    request = question(G4_PROMPTS[0], ALONE_TOKENS, chat=chat)
    return laboratory.engine(check.cell).generate([request], laboratory.timeout(check))[0]


def _of_engine(check: Check, cell: Cell) -> tuple[Check, str]:
    return replace(check, cell=cell.engine), str(cell.engine)


def _ask_probes(check: Check, laboratory: Laboratory) -> list[Generation]:
    chat = laboratory.load(check).has_chat_template
    requests = [question(prompt, PROBE_TOKENS, chat=chat) for prompt in G4_PROMPTS]
    limit = laboratory.timeout(check) * len(requests)
    return laboratory.engine(check.cell).generate(requests, limit)
