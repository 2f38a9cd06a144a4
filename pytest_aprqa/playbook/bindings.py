"""For which parts of a run a condition is judged.

A measurement is taken in every cell. What its name leaves open is the same for all measurements of
a condition: `tokens_per_second.gpu >= 2 * tokens_per_second.cpu` compares each artifact with itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pytest_aprqa.playbook.condition import Truth, figures_in
from pytest_aprqa.playbook.figures import Figure, Part, Planned, Source
from pytest_aprqa.words import Cell

Binding = Mapping[Figure, Figure]
"""For each figure as it is named the one of a single cell; what is not measured cell by cell stays."""


def bindings(condition: Truth, planned: Sequence[Planned]) -> list[Binding]:
    """Return every way in which a condition speaks of a plan; none when it speaks of nothing in it."""
    named = list(dict.fromkeys(figures_in(condition)))
    engines = dict.fromkeys(check.cell.engine for check in planned if check.cell.format)
    found: list[Binding] = []
    for engine in engines or [Cell()]:
        bound = {name: _at(name, engine, planned) for name in named}
        whole = {name: of_it for name, of_it in bound.items() if of_it is not None}
        if len(whole) == len(named) and whole not in found:
            found.append(whole)
    return found


def _at(figure: Figure, engine: Cell, planned: Sequence[Planned]) -> Figure | None:
    """Return a figure for an artifact and backend, or None where the plan does not have it."""
    if figure.metric.source is not Source.MEASUREMENT:
        there = figure.metric.source is Source.SCORE or any(map(figure.covers, planned))
        return figure if there else None
    cell = replace(
        figure.cell,
        format=figure.cell.format or engine.format,
        backend=figure.cell.backend
        or (engine.backend if Part.BACKEND in figure.metric.parts else None),
    )
    # An artifact that has no others beside it is compared with each quantisation of another format.
    for quantization in (figure.cell.quantization or engine.quantization, figure.cell.quantization):
        here = replace(figure, cell=replace(cell, quantization=quantization))
        if sum(map(here.covers, planned)) == 1:
            return here
    return None
