"""Which scenario is asked in which cell."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import NamedTuple

from pytest_aprqa.playbook.catalogue import question_at
from pytest_aprqa.playbook.check import Message, OracleSpec, Scenario
from pytest_aprqa.playbook.load import LoadedPlaybook
from pytest_aprqa.playbook.matrix import Prompt
from pytest_aprqa.playbook.oracles import Oracle
from pytest_aprqa.playbook.prompts import EDGE_NAMES
from pytest_aprqa.words import Backend, Modality

LANE = 100
"""Questions of the catalogue between the first ones of two lanes."""

_SUM = re.compile(r"\d\s*[-+*/×÷]\s*\d")
_CODE = re.compile(r"^\s*(def|class|async|fn|func|function|import|from|const|let|for|while)\b|```")
_FORMS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("arithmetic", _SUM),
    ("code_syntax", _CODE),
)


class Asked(NamedTuple):
    """A scenario in its place.

    Attributes:
        scenario: what is asked.
        kind: subject of its gate id.
        line: 0-based line in the playbook.
    """

    scenario: Scenario
    kind: str
    line: int


class Questions:
    """Deals scenarios to cells.

    All formats of a backend and modality are asked the same, so that a failure can be held against
    the reference. Each backend and modality begins at another place of the list, its lane, so that
    a small plan still asks different things. A lane does not depend on how long it is followed: a
    smaller tier asks the first questions of a larger one.
    """

    def __init__(self, loaded: LoadedPlaybook) -> None:
        self._matrix = loaded.playbook.test_matrix
        self._line = loaded.line_of("test_matrix")
        self._own = tuple(_own_questions(loaded))
        self._taken = {asked.scenario.name for asked in self._own}

    @property
    def own(self) -> int:
        """How many questions the playbook brings."""
        return len(self._own)

    def dealt(self, backend: Backend, modality: Modality, count: int) -> list[Asked]:
        """Return the scenarios of a cell: the playbook's own, then the catalogue's."""
        lane = list(Backend).index(backend) * len(Modality) + list(Modality).index(modality)
        lanes = len(Backend) * len(Modality)
        own = len(self._own)
        first = lane * own // lanes
        dealt = [self._own[(first + place) % own] for place in range(min(count, own))]
        fresh = (
            place
            for place in (_place(lane, step, lanes) for step in itertools.count())
            if question_at(place).name not in self._taken
        )
        more = itertools.islice(fresh, count - len(dealt))
        return dealt + [self._from_catalogue(place, modality) for place in more]

    def _from_catalogue(self, place: int, modality: Modality) -> Asked:
        question = question_at(place)
        scenario = Scenario(
            name=question.name,
            prompt=question.stem if modality is Modality.RUN else question.question,
            oracles=(question.oracle,),
            max_tokens=self._matrix.max_tokens,
            seed=self._matrix.seed,
        )
        return Asked(scenario, question.kind, self._line)


def _place(lane: int, step: int, lanes: int) -> int:
    """Return the place in the catalogue of a lane's questions, no two lanes sharing any."""
    if step < LANE:
        return lane * LANE + step
    return (step * lanes) + lane


def _own_questions(loaded: LoadedPlaybook) -> list[Asked]:
    """Return the questions that stand in the playbook, named."""
    playbook = loaded.playbook
    placed: list[tuple[str, Prompt]] = [
        *((f"scenarios[{i}]", entry) for i, entry in enumerate(playbook.scenarios)),
        *(
            (f"test_matrix.prompts[{i}]", entry)
            for i, entry in enumerate(playbook.test_matrix.prompts)
        ),
    ]
    taken: dict[str, str] = {}
    asked: list[Asked] = []
    for field, entry in placed:
        name = entry.name or f"prompt-{len(asked) + 1:03d}"
        if name in taken:
            raise loaded.error(field, f"the name {name!r} is taken by {taken[name]}")
        if name in EDGE_NAMES:
            raise loaded.error(field, f"the name {name!r} is taken by the edge case of that name")
        taken[name] = field
        scenario = _scenario(entry, name, loaded)
        asked.append(Asked(scenario, "prompt", loaded.line_of(field)))
    return asked


def _scenario(entry: Prompt, name: str, loaded: LoadedPlaybook) -> Scenario:
    matrix = loaded.playbook.test_matrix
    return Scenario(
        name=name,
        prompt=entry.prompt,
        system=entry.system,
        history=tuple(Message(turn.role, turn.content) for turn in entry.history),
        oracles=_oracles(entry, loaded.playbook.oracles),
        max_tokens=entry.max_tokens or matrix.max_tokens,
        temperature=entry.temperature,
        seed=matrix.seed,
    )


def _oracles(entry: Prompt, settings: Sequence[Oracle]) -> tuple[OracleSpec, ...]:
    """Choose who judges a prompt.

    A prompt's own oracles and expected text decide when there are any. Otherwise its form does: a
    sum, a beginning of code, or else plain text; the playbook's `oracles` say how strict they are,
    and add those that apply to any text.
    """
    expected = [OracleSpec("contains", {"any": list(entry.expected)})] if entry.expected else []
    if entry.oracles is not None or expected:
        return (*expected, *(oracle.spec() for oracle in entry.oracles or ()))
    by_form = next((name for name, form in _FORMS if form.search(entry.prompt)), None)
    narrow = {name for name, _ in _FORMS}
    if by_form == "arithmetic" or by_form == "code_syntax":
        narrow.add("response")
    chosen = [oracle.spec() for oracle in settings if oracle.type not in narrow]
    stated = [oracle.spec() for oracle in settings if oracle.type == by_form]
    return (*(stated or ([OracleSpec(by_form)] if by_form else [])), *chosen)
