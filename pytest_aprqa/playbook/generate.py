"""Generated questions: a seed and a number give the same ones in every run, none of them twice."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources
from itertools import count, cycle, islice
from random import Random
from typing import Any, NamedTuple

from pytest_aprqa.playbook.draw import SeededDraw
from pytest_aprqa.playbook.families import FAMILIES, KERNELS, Generated

SEED = 42
_TRIES = 200
"""Draws in a row that bring nothing new, after which a family is taken to be used up."""


class Question(NamedTuple):
    """A generated question with its name, for instance "multi-turn-003"."""

    name: str
    generated: Generated


def questions(number: int, *, seed: int = SEED, kernels: Sequence[str] = ()) -> list[Question]:
    """Return distinct questions, dealt from every family in turns.

    Args:
        number: of questions.
        seed: of every choice.
        kernels: parts of an architecture, keys of `KERNELS`, that get families of their own.
    """
    families = dict(FAMILIES)
    families |= {f"kernel-{kernel}": KERNELS[kernel] for kernel in kernels}
    seen: set[object] = set()
    streams = {
        name: _distinct(name, SeededDraw(Random(f"{seed} {name}")), families[name], seen)
        for name in families
    }
    return list(islice(_dealt(streams), number))


def _dealt(streams: dict[str, Iterator[Question]]) -> Iterator[Question]:
    left = dict(streams)
    for name in cycle(streams):
        if not left:
            return
        if name in left:
            question = next(left[name], None)
            if question is None:
                del left[name]
            else:
                yield question


def _distinct(name: str, draw: SeededDraw, family: Any, seen: set[object]) -> Iterator[Question]:
    for number in count(1):
        for _ in range(_TRIES):
            made: Generated = family(draw)
            asked = (made.question, made.stem, made.history)
            if asked not in seen:
                seen.add(asked)
                yield Question(f"{name}-{number:03d}", made)
                break
        else:
            return


def known_kernels(model_id: str) -> tuple[str, ...]:
    """Return what the architecture of a well-known family has; nothing when it is not known."""
    name = model_id.rpartition("/")[2].lower().removeprefix("meta-")
    fitting = [prefix for prefix in _by_name() if name.startswith(prefix)]
    return tuple(_by_name()[max(fitting, key=len)]) if fitting else ()


@cache
def _by_name() -> dict[str, list[str]]:
    text = resources.files("pytest_aprqa.playbook").joinpath("kernels.toml").read_text("utf-8")
    kernels: dict[str, list[str]] = tomllib.loads(text)["kernels"]
    return kernels
