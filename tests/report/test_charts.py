"""Charts, and a run beside an earlier one."""

from __future__ import annotations

from pytest_aprqa.report.charts import bars
from pytest_aprqa.report.compare import Change, compare
from pytest_aprqa.report.html import render_html
from pytest_aprqa.words import Outcome


def test_measurements_are_bars_beside_the_largest(run_with):
    charts = dict(bars(run_with()))
    assert set(charts) == {"Decoded tokens a second", "Seconds to load"}
    [first, second] = charts["Decoded tokens a second"]
    assert (first.cell, first.text, first.share) == ("safetensors-cpu", "41.5", 1.0)
    assert second.cell == "gguf-cpu"


def test_what_became_worse_and_better_is_told_apart(run_with):
    good, bad = run_with(gguf=Outcome.CORROBORATED), run_with()
    fell = compare(bad, good)
    assert fell.verdict[0] == Change("status", good.certificate.status, bad.certificate.status)
    assert fell.verdict[1].worse is True
    assert Change("sum[gguf-cpu-run]", "corroborated", "falsified", True) in fell.flips
    rose = compare(good, bad)
    assert rose.verdict[1].worse is False
    assert {change.worse for change in rose.flips} == {False}
    assert compare(bad, bad).flips == ()


def test_speed_is_shown_and_not_judged(run_with):
    speed = compare(run_with(), run_with()).speed
    assert Change("gguf-cpu decode tokens per second", "41.5", "41.5") in speed


def test_a_page_beside_an_earlier_run_names_it_and_marks_the_flips(run_with):
    html = render_html(run_with(), run_with(gguf=Outcome.CORROBORATED, text="<b>x"))
    assert "Beside the run of 2026-01-02T03:05:05" in html
    assert '<td class="number bad">falsified</td>' in html
