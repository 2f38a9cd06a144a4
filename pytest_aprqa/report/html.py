"""The report as one HTML page that needs nothing else: no network, no file beside it."""

from __future__ import annotations

import base64
import functools
import hashlib
from importlib import resources
from typing import TYPE_CHECKING

from pytest_aprqa.report import curves
from pytest_aprqa.report.charts import bars
from pytest_aprqa.report.compare import compare
from pytest_aprqa.report.content import items, measurements, number, reproduce, unmeasured
from pytest_aprqa.report.matrix import gateway_mark, matrix
from pytest_aprqa.report.visible import one_line
from pytest_aprqa.verdict.record import Run

if TYPE_CHECKING:
    from jinja2 import Template


def render_html(run: Run, earlier: Run | None = None) -> str:
    """Return the page of a run, beside an earlier one. It depends on the runs alone."""
    script = _resource("report.js")
    return _template().render(
        run=run,
        certificate=run.certificate,
        matrix=matrix(run),
        items=items(run),
        measurements=measurements(run),
        unmeasured=unmeasured(run),
        commands=reproduce(run),
        bars=bars(run),
        by_position=curves.by_position(run),
        by_layer=curves.by_layer(run),
        plot=curves,
        comparison=compare(run, earlier) if earlier else None,
        style=_resource("report.css"),
        script=script,
        script_hash=_hash(script),
    )


@functools.cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["line"] = one_line
    environment.filters["number"] = number
    environment.filters["gateway_mark"] = gateway_mark
    return environment.from_string(_resource("report.html.j2"))


def _resource(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    """Return what a Content-Security-Policy must name for this script, and no other, to run."""
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
