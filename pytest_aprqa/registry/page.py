"""The registry as one HTML page that needs nothing else: a table to sort and to search."""

from __future__ import annotations

import base64
import functools
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from pytest_aprqa.registry.readme import parameter_count
from pytest_aprqa.registry.row import RegistryRow
from pytest_aprqa.words import Status

if TYPE_CHECKING:
    from jinja2 import Template

RATES = (
    "tps_gguf_cpu",
    "tps_gguf_gpu",
    "tps_apr_cpu",
    "tps_apr_gpu",
    "tps_st_cpu",
    "tps_st_gpu",
)
BAR, HEIGHT = 8, 24
"""Width of one bar of a sparkline and height of the tallest, in pixels."""


@dataclass(frozen=True, slots=True)
class Spark:
    """One bar of a sparkline.

    Attributes:
        x, y, height: of its box; nothing measured has no height.
        text: what it stands for.
    """

    x: int
    y: float
    height: float
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """A model of the table; `parameters` is a number, to sort by."""

    row: RegistryRow
    parameters: float
    gateways: str
    sparks: tuple[Spark, ...]
    fastest: float


def render_page(rows: Sequence[RegistryRow]) -> str:
    """Return the page of a registry. It depends on the rows alone."""
    script = _resource("page.js")
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    top = max((rate for row in rows for rate in _rates(row)), default=0.0)
    return _template().render(
        lines=[_line(row, top) for row in rows],
        statuses=[s for s in Status if any(row.status == s for row in rows)],
        script=script,
        script_hash=f"sha256-{base64.b64encode(digest).decode('ascii')}",
        width=BAR * len(RATES),
        height=HEIGHT,
        bar=BAR - 1,
    )


def _line(row: RegistryRow, top: float) -> Line:
    rates = _rates(row)
    pending = row.status == Status.PENDING
    held = "".join("✓" if one == "true" else "✗" for one in (row.g1, row.g2, row.g3, row.g4))
    return Line(
        row=row,
        parameters=parameter_count(row),
        gateways="" if pending else held,
        sparks=tuple(_spark(place, rate, top) for place, rate in enumerate(rates)),
        fastest=max(rates),
    )


def _spark(place: int, rate: float, top: float) -> Spark:
    """Return a bar; heights are logarithmic, because a GPU is ten times a CPU."""
    height = HEIGHT * math.log1p(rate) / math.log1p(top) if top else 0.0
    name = RATES[place].removeprefix("tps_").replace("_", " on ")
    text = f"{name}: {f'{rate:g} tokens a second' if rate else 'not measured'}"
    return Spark(BAR * place, round(HEIGHT - height, 1), round(height, 1), text)


def _rates(row: RegistryRow) -> list[float]:
    return [_number(value) for name, value in row.columns().items() if name in RATES]


def _number(text: str) -> float:
    try:
        number = float(text or 0)
    except ValueError:
        return 0.0
    return number if 0 < number < math.inf else 0.0


@functools.cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_resource("page.html.j2"))


def _resource(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
