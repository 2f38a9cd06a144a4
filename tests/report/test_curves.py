"""Curves of a report: axes, ticks, the worst place, and what is too small to draw."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from pytest_aprqa.report.curves import HEIGHT, WIDTH, by_layer, by_position
from pytest_aprqa.report.html import render_html

KL = [1e-6, 1e-4, 0.01, 1e-6]


def with_observation(run, observation, metrics=None):
    told = {"observation": observation, "metrics": metrics or {}}
    records = tuple(
        record.model_copy(update=told) if record.check == "I-2" else record
        for record in run.records
    )
    return run.model_copy(update={"records": records})


def positions(run, values, **more):
    return with_observation(run, {"kl_nats_by_position": values, "kl_worst_token": " <b>"}, more)


def test_divergence_by_position_is_a_curve_on_a_logarithmic_axis(run_with):
    [curve] = by_position(positions(run_with(), KL))
    points = [tuple(map(float, point.split(","))) for point in curve.points.split()]
    assert points == [
        (0, HEIGHT),
        (pytest.approx(WIDTH / 3, abs=0.1), HEIGHT / 2),
        (pytest.approx(2 * WIDTH / 3, abs=0.1), 0),
        (WIDTH, HEIGHT),
    ]
    assert (curve.name, curve.maximum, curve.top) == ("I-2", 0.01, 0.01)


def test_axes_have_ticks_at_decades_and_at_round_positions(run_with):
    [curve] = by_position(positions(run_with(), KL))
    assert [tick.text for tick in curve.up] == ["1e-6", "1e-5", "1e-4", "1e-3", "1e-2"]
    assert [tick.at for tick in curve.up] == pytest.approx(
        [HEIGHT, HEIGHT * 3 / 4, HEIGHT / 2, HEIGHT / 4, 0]
    )
    assert [tick.text for tick in curve.across] == ["1", "2", "3", "4"]
    [long] = by_position(positions(run_with(), [0.1] * 191))
    assert [tick.text for tick in long.across] == ["50", "100", "150"]
    assert long.across[0].at == pytest.approx(WIDTH * 49 / 190)


def test_the_worst_place_is_named_with_its_token(run_with):
    [curve] = by_position(positions(run_with(), KL))
    x, y, words = curve.worst
    assert (x, y) == (pytest.approx(2 * WIDTH / 3), pytest.approx(0))
    assert words == "largest 0.01 nats at position 3, the token ' <b>'"


def test_the_budget_is_a_line_in_the_picture_also_above_every_value(run_with):
    [curve] = by_position(positions(run_with(), KL, kl_budget_nats=0.1))
    assert (curve.budget.at, curve.budget.text, curve.top) == (0, "0.1", 0.1)
    [unknown] = by_position(positions(run_with(), KL))
    assert unknown.budget is None


def test_layers_are_counted_from_zero(run_with):
    run = with_observation(run_with(), {"relative_error_by_layer": [0.001, 0.1, 0.0]})
    [curve] = by_layer(run)
    assert curve.worst[2] == "largest 0.1 relative error at layer 1"
    assert [tick.text for tick in curve.across] == ["0", "1", "2"]
    assert "Fidelity by layer" in render_html(run)


@pytest.mark.parametrize("values", [None, [], [1.0], ["1", 2.0], [float("inf"), 1.0]])
def test_what_is_no_curve_is_left_out(run_with, values):
    assert by_position(positions(run_with(), values)) == []


def test_what_is_below_the_axis_everywhere_is_said_in_words(run_with):
    html = render_html(positions(run_with(), [1e-9, 0.0]))
    assert "Below 1e-06 everywhere: nothing to draw." in html
    assert "<svg" not in html


def test_a_page_shows_its_curves_as_pictures_with_words(run_with):
    html = render_html(positions(run_with(), KL, kl_budget_nats=0.1))
    assert re.search(r'<svg [^>]*role="img" aria-label="KL divergence by position', html)
    picture = ElementTree.fromstring(re.search(r"<svg.*</svg>", html, re.DOTALL)[0])
    titles = [title.text for title in picture.iter("title")]
    assert titles == ["largest 0.01 nats at position 3, the token ' <b>'"] * 2
    written = [text.text for text in picture.iter("text")]
    assert {"token position", "KL, nats", "budget of the mean: 0.1"} <= set(written)
    assert "Fidelity by position" not in render_html(run_with())
