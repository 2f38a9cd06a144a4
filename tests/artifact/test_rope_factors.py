from __future__ import annotations

import numpy as np
import pytest

from pytest_aprqa.artifact.rope_factors import llama3_factors, llama3_scaling

LLAMA_31 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def test_short_waves_stay_and_long_ones_are_stretched_by_the_factor() -> None:
    factors = llama3_factors(LLAMA_31, 500000.0, 128)
    assert factors.shape == (64,)
    assert factors[0] == 1.0
    assert factors[-1] == 8.0
    assert np.all(np.diff(factors) >= 0)
    assert 1.0 < factors[32] < 8.0


@pytest.mark.parametrize("factor", [8.0, 32.0])
def test_the_parameters_are_recognised_from_the_factors(factor: float) -> None:
    scaling = {**LLAMA_31, "factor": factor}
    assert llama3_scaling(llama3_factors(scaling, 5e5, 64), 5e5, 64) == scaling


def test_other_factors_are_not_taken_for_llama_3() -> None:
    assert llama3_scaling(np.linspace(1, 8, 32, dtype=np.float32), 5e5, 64) is None
    assert llama3_scaling(np.ones(7, np.float32), 5e5, 64) is None
