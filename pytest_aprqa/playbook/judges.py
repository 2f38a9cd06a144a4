"""Who judges which question."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pytest_aprqa.playbook.check import OracleSpec

if TYPE_CHECKING:
    from pytest_aprqa.playbook.matrix import Prompt
    from pytest_aprqa.playbook.oracles import Oracle

_SUM = re.compile(
    r"\d\s*[+*×÷]\s*\d|\d\s+[-/]\s+\d"
    # Without spaces, "1-2 sentences" and "24/7" are no sums; what asks for one says so.
    r"|(?i:\b(?:what(?: is|'s)|calculate|compute|evaluate|how much is)\s+)-?[\d.,]+[-/]\d"
    r"|\A[^\w\n]*\d[\d.,()\s]*[-/][\d.,()\s]*\d[^\w\n]*\Z"
)
_CODE = re.compile(
    r"^\s*(?:async\s+)?(?:def|fn|func|function|class)\s+\w+\s*(?:[:({<\[]|$)"
    r"|^\s*(?:import\s+[\w.]+\s*(?:$|[;,]|as\b)|from\s+[\w.]+\s+import\b"
    r"|(?:const|let|var)\s+\w+\s*[:=]|for\b.*[:{]\s*$)"
    r"|```|(?i:\b(?:write|complete|implement)\b.*\b(?:function|program|script|class|code)\b)"
)
_FORMS = (("arithmetic", _SUM), ("code_syntax", _CODE))
"""Forms of prompts that show what answer is wanted."""

_PLAIN = "response"
"""The oracle for prompts of no such form, when the playbook sets it."""

_NARROW = frozenset({_PLAIN, *(name for name, _ in _FORMS)})
"""Oracles that fit some prompts only; all others a playbook sets are asked of every answer."""


class Judges:
    """Chooses oracles, under the settings of a playbook's `oracles`.

    A prompt with oracles of its own has those. A known answer is looked for. Otherwise the form of
    the prompt decides: a sum, the beginning of code, or plain text, which has no right answer and
    is only asked not to be garbage. A form that promised more than its oracle can judge leaves the
    answer unjudged.
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
            return self.of_known(OracleSpec(form))
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

    def _general(self) -> Iterable[OracleSpec]:
        types = {oracle.type for oracle in self._settings} - _NARROW
        return (spec for name in sorted(types) for spec in self._set(name))

    def _set(self, name: str) -> list[OracleSpec]:
        self._used.add(name)
        return [oracle.spec() for oracle in self._settings if oracle.type == name]
