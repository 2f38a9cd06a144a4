"""Which scenario is asked in which cell."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from pytest_aprqa.playbook.catalogue import question_at
from pytest_aprqa.playbook.check import Message, Scenario
from pytest_aprqa.playbook.errors import Notice, dotted
from pytest_aprqa.playbook.judges import Judges
from pytest_aprqa.words import Backend, Modality

if TYPE_CHECKING:
    from pytest_aprqa.playbook.load import LoadedPlaybook
    from pytest_aprqa.playbook.schema import NamedPrompt

LANE = 100
"""Questions of the catalogue between the first ones of two lanes."""

CODE_TOKENS = 64
"""Most tokens of code, unless the playbook says: half of them often hold no whole statement."""


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

    def __init__(self, loaded: LoadedPlaybook, count: int) -> None:
        self._loaded = loaded
        self._count = count
        self._matrix = loaded.playbook.test_matrix
        self._line = loaded.line_of("test_matrix")
        self._judges = Judges(loaded.playbook.oracles)
        self._own = loaded.playbook.named_prompts()
        self._taken = {prompt.name for prompt in self._own}
        self._dealt: dict[tuple[Backend, Modality], tuple[Asked, ...]] = {}

    def dealt(self, backend: Backend, modality: Modality) -> tuple[Asked, ...]:
        """Return the scenarios of a cell: the playbook's own, then the catalogue's."""
        key = (backend, modality)
        if key not in self._dealt:
            lane = list(Backend).index(backend) * len(Modality) + list(Modality).index(modality)
            self._dealt[key] = tuple(self._lane(lane, modality))
        return self._dealt[key]

    def notices(self) -> list[Notice]:
        """Return what the questions dealt so far have left unused."""
        return [
            Notice(
                field := f"oracles[{place}]",
                "no question of this plan has an answer of the form this oracle judges",
                self._loaded.line_of(field),
            )
            for place in self._judges.idle()
        ]

    def _lane(self, lane: int, modality: Modality) -> list[Asked]:
        lanes = len(Backend) * len(Modality)
        own = len(self._own)
        first = lane * own // lanes
        places = [(first + step) % own for step in range(min(self._count, own))]
        asked = [self._from_playbook(self._own[place], modality) for place in places]
        fresh = (
            place
            for place in (catalogue_place(lane, step, lanes) for step in itertools.count())
            if question_at(place).name not in self._taken
        )
        more = itertools.islice(fresh, self._count - len(asked))
        return asked + [self._from_catalogue(place, modality) for place in more]

    def _from_catalogue(self, place: int, modality: Modality) -> Asked:
        question = question_at(place)
        scenario = Scenario(
            name=question.name,
            prompt=question.stem if modality is Modality.RUN else question.question,
            oracles=self._judges.of_known(question.oracle),
            max_tokens=self._tokens_for(question.kind),
            seed=self._matrix.seed,
        )
        return Asked(scenario, question.kind, self._line)

    def _tokens_for(self, kind: str) -> int:
        stated = "max_tokens" in self._matrix.model_fields_set
        return self._matrix.max_tokens if stated or kind != "code" else CODE_TOKENS

    def _from_playbook(self, named: NamedPrompt, modality: Modality) -> Asked:
        entry = named.entry
        raw = modality is Modality.RUN
        scenario = Scenario(
            name=named.name,
            prompt=(entry.completion if raw else None) or entry.prompt,
            system=None if raw else entry.system,
            history=() if raw else tuple(Message(t.role, t.content) for t in entry.history),
            oracles=self._judges.of_prompt(entry),
            max_tokens=entry.max_tokens or self._matrix.max_tokens,
            temperature=entry.temperature,
            seed=self._matrix.seed,
        )
        return Asked(scenario, "prompt", self._loaded.line_of(dotted(named.field)))


def catalogue_place(lane: int, step: int, lanes: int) -> int:
    """Return the place in the catalogue of a lane's questions, no two lanes sharing any."""
    return lane * LANE + step if step < LANE else step * lanes + lane
