"""Where an artifact leaves its reference, layer by layer."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pytest_aprqa.judge.layers import differences, first_that_differs, tolerance_of
from pytest_aprqa.observation import LayerState


def test_differences_are_relative_to_the_reference() -> None:
    state = LayerState(0, 0.0, 1.0, 1.0, -1.0, 1.0, 0.0, (3.0, 4.0))
    by_a_tenth = replace(state, sample=(3.3, 4.4))
    assert differences([state], [by_a_tenth]) == [pytest.approx(0.1)]
    assert differences([state], [replace(state, not_finite=0.5)]) == [math.inf]
    assert differences([state], [replace(state, sample=(1.0,))]) == [math.inf]
    zero = replace(state, sample=(0.0, 0.0))
    assert differences([zero], [zero]) == [0.0]
    assert differences([zero], [state]) == [math.inf]
    assert first_that_differs([0.01, 0.02], 0.02) is None
    assert tolerance_of("Q4_0") > tolerance_of("Q8_0") >= tolerance_of("F16")
