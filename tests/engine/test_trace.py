"""What a forward pass leaves behind each layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pytest_aprqa.artifact.model import Artifact
from pytest_aprqa.engine.open import open_engine
from pytest_aprqa.engine.protocol import Engine, EngineError, Fault
from pytest_aprqa.judge.layers import differences, first_that_differs, tolerance_of
from pytest_aprqa.observation import LayerState
from pytest_aprqa.words import Backend, Format

IDS = [1, 5, 9, 4, 7]


def of_weights(
    weights: Any, tiny: Any, folder: Path, writers: SimpleNamespace, artifact_at: Any
) -> list[LayerState]:
    """Return the states of the tiny model with other weights."""
    path = writers.safetensors(folder / "hf", weights, tiny.tokenizer)
    artifact: Artifact = artifact_at(Format.SAFETENSORS, path)
    engine = open_engine(artifact, Backend.CPU, log_dir=folder, threads=1)
    try:
        return engine.trace(IDS, 60)
    finally:
        engine.close()


def test_both_formats_of_transformers_show_the_same_layers(
    safetensors_engine: Engine, apr_engine: Engine
) -> None:
    states = safetensors_engine.trace(IDS, 60)
    assert [state.layer for state in states] == list(range(len(states)))
    assert len(states) > 1
    assert all(s.not_finite == 0 and s.min < s.mean < s.max for s in states)
    assert all(math.isclose(s.rms, math.hypot(s.mean, s.std), rel_tol=1e-4) for s in states)
    assert differences(states, apr_engine.trace(IDS, 60)) == [0.0] * len(states)
    assert safetensors_engine.trace(IDS, 60) == states, "no hook is left behind"


def test_llama_cpp_says_that_it_shows_none(gguf_engine: Engine) -> None:
    with pytest.raises(EngineError, match="no hidden states") as caught:
        gguf_engine.trace(IDS, 60)
    assert caught.value.fault is Fault.UNSUPPORTED


@pytest.mark.parametrize("value", [0.5, np.nan])
def test_a_damaged_layer_is_the_first_that_differs(
    tiny: Any,
    tmp_path: Path,
    model_writers: SimpleNamespace,
    make_artifact: Callable[[Format, Path], Artifact],
    safetensors_engine: Engine,
    value: float,
) -> None:
    weights = {name: array.copy() for name, array in tiny.weights.items()}
    [damaged] = [n for n in weights if ".1." in n and "down_proj" in n]
    weights[damaged][:] = value
    states = of_weights(weights, tiny, tmp_path, model_writers, make_artifact)
    found = differences(safetensors_engine.trace(IDS, 60), states)
    assert found[0] == 0
    assert first_that_differs(found, tolerance_of("F32")) == 1
    assert (states[1].not_finite > 0) == math.isnan(value)
