"""A search for the smallest generated question that fails, by hypothesis."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from pytest_aprqa.playbook.families import Family, Generated

T = TypeVar("T")

Fails = Callable[[Generated], bool]
"""Asks a question; whether the answer is wrong. Asked the same twice it says the same."""


def smallest_failure(
    family: Family, fails: Fails, *, count: int, max_shrinks: int, seed: int
) -> Generated | None:
    """Return the smallest question found that fails, or None when none of `count` does.

    Smaller is: lower numbers, and earlier ones of some options.

    Args:
        family: to draw questions from.
        fails: asks one.
        count: most questions drawn before one fails.
        max_shrinks: most questions asked afterwards to find a smaller one.
        seed: of the draws.

    Raises:
        ImportError: hypothesis is not installed.
    """
    from hypothesis import HealthCheck, Phase, Verbosity, given, settings
    from hypothesis import seed as seeded
    from hypothesis import strategies as st

    from pytest_aprqa.run.plain_draws import BACKEND

    search = _Search(fails, max_shrinks)

    @st.composite
    def questions(draw: Callable[[Any], Any]) -> Generated:
        return family(_Drawn(draw, st))

    @seeded(seed)
    @settings(
        max_examples=count,
        phases=(Phase.generate, Phase.shrink),
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        print_blob=False,
        verbosity=Verbosity.quiet,
        backend=BACKEND,
    )
    @given(questions())
    def holds(question: Generated) -> None:
        if search.fails(question):
            raise _FoundError(question)

    try:
        with _no_files():
            holds()
    except _FoundError as found:
        return found.question
    return None


@contextmanager
def _no_files() -> Iterator[None]:
    """Keep what hypothesis notes of local modules out of the working directory."""
    from hypothesis.configuration import set_hypothesis_home_dir, storage_directory

    before = storage_directory(intent_to_write=False).home_directory
    with tempfile.TemporaryDirectory(prefix="aprqa-") as name:
        set_hypothesis_home_dir(name)
        try:
            yield
        finally:
            set_hypothesis_home_dir(before)


class _FoundError(Exception):
    def __init__(self, question: Generated) -> None:
        super().__init__(question.question)
        self.question = question


class _Search:
    """Remembers what was asked, and asks nothing more when it may shrink no further."""

    def __init__(self, fails: Fails, max_shrinks: int) -> None:
        self._fails = fails
        self._left = max_shrinks
        self._known: dict[tuple[object, ...], bool] = {}
        self._has_failed = False

    def fails(self, question: Generated) -> bool:
        key = (question.question, question.stem, question.history)
        if key not in self._known:
            if self._has_failed:
                if not self._left:
                    return False
                self._left -= 1
            self._known[key] = self._fails(question)
            self._has_failed = self._has_failed or self._known[key]
        return self._known[key]


class _Drawn:
    """Choices that hypothesis makes, and makes smaller."""

    def __init__(self, draw: Callable[[Any], Any], strategies: Any) -> None:
        self._draw = draw
        self._strategies = strategies

    def integer(self, low: int, high: int) -> int:
        return int(self._draw(self._strategies.integers(low, high)))

    def pick(self, options: Sequence[T]) -> T:
        return options[self.integer(0, len(options) - 1)]
