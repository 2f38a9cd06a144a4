"""Who judges which question."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pytest_aprqa.playbook.check import OracleSpec

if TYPE_CHECKING:
    from pytest_aprqa.playbook.matrix import Prompt
    from pytest_aprqa.playbook.oracles import Oracle

_FORMS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("arithmetic", re.compile(r"\d\s*[-+*/×÷]\s*\d")),
    (
        "code_syntax",
        re.compile(
            r"^\s*(def|class|async|fn|func|function|import|from|const|let|for)\b|```"
            r"|(?i:\b(write|complete|implement)\b.*\b(function|program|script|class|code)\b)"
        ),
    ),
)
"""Forms of prompts that show what answer is wanted."""

_PLAIN = "response"
"""The oracle for prompts of no such form, when the playbook sets it."""

_NARROW = frozenset({_PLAIN, *(name for name, _ in _FORMS)})
"""Oracles that fit some prompts only; all others a playbook sets are asked of every answer."""


class Judges:
    """Chooses oracles, under the settings of a playbook's `oracles`.

    A prompt with oracles of its own has those. A known answer is looked for. Otherwise the form of
    the prompt decides: a sum, the beginning of code, or plain text, which has no right answer.
    """

    def __init__(self, settings: Sequence[Oracle]) -> None:
        self._settings = settings
        self._used: set[str] = set()

    def of_prompt(self, entry: Prompt) -> tuple[OracleSpec, ...]:
        """Return the oracles of a prompt of the playbook."""
        known = [OracleSpec("contains", {"any": list(entry.expected)})] if entry.expected else []
        if entry.oracles is not None:
            return (*known, *(oracle.spec() for oracle in entry.oracles))
        if known:
            return (*known, *self._general())
        form = next((name for name, form in _FORMS if form.search(entry.prompt)), None)
        if form:
            return self._with_garbage(self.of_known(OracleSpec(form)))
        return (*self._set(_PLAIN), *self._general())

    def of_known(self, oracle: OracleSpec) -> tuple[OracleSpec, ...]:
        """Return the oracles of a question whose judge is known."""
        settings = {
            key: value for spec in self._set(oracle.type) for key, value in spec.config.items()
        }
        return (OracleSpec(oracle.type, settings | oracle.config), *self._general())

    def idle(self) -> tuple[int, ...]:
        """Return the places in `oracles` of those that no question has needed so far."""
        return tuple(i for i, oracle in enumerate(self._settings) if oracle.type not in self._used)

    @staticmethod
    def _with_garbage(chosen: tuple[OracleSpec, ...]) -> tuple[OracleSpec, ...]:
        """Add the oracle that applies to any answer: the form may have promised too much."""
        if any(spec.type == "garbage" for spec in chosen):
            return chosen
        return (*chosen, OracleSpec("garbage"))

    def _general(self) -> Iterable[OracleSpec]:
        types = {oracle.type for oracle in self._settings} - _NARROW
        return (spec for name in sorted(types) for spec in self._set(name))

    def _set(self, name: str) -> list[OracleSpec]:
        self._used.add(name)
        return [oracle.spec() for oracle in self._settings if oracle.type == name]
