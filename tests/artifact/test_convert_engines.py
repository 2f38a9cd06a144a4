"""Converted models must load in transformers and llama.cpp and compute what the original does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pytest_aprqa.artifact.contents import model_tensors
from pytest_aprqa.artifact.convert import convert
from pytest_aprqa.artifact.model import Artifact
from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.words import Format

NAMES = (
    "llama",
    "llama-tied",
    "llama-bias",
    "llama-head-dim",
    "llama3-rope",
    "llama-f16",
    "llama-bf16",
    "mistral",
    "granite",
    "qwen2",
    "qwen2-yarn",
    "qwen2-yarn-attention",
    "qwen3",
    "gemma",
    "gemma2",
    "gemma3",
    "phi3",
    "phi3-longrope",
    "gpt-neox",
    "llama-linear",
    "smollm3",
    "olmo2",
    "stablelm",
    "starcoder2",
    "falcon-7b",
    "falcon-40b",
    "falcon-11b",
    "mixtral",
    "mixtral-fused",
    "qwen2-moe",
    "qwen2-moe-bf16",
    "qwen3-moe",
    "qwen3-moe-fused",
    "granite-moe",
    "granite-moe-fused",
    "mistral-window",
    "starcoder2-window",
)
# (1 + w) - 1 in float32 does not give w back, bit by bit.
SHIFTED = ("gemma", "gemma2", "gemma3")
# It comes back in the words of the new Falcon architecture, which multiplies in another order.
ADDED_UP_OTHERWISE = ("falcon-7b",)
SPREAD = 0.5  # nats between the best token and the mean one: the models are not flat
# llama.cpp computes in another order; BF16 weights make it round activations to BF16 too.
MAX_KL = 1e-4
FEWEST_POSITIONS = 4  # it says nothing when the likeliest token is no whole character


@pytest.fixture(scope="module")
def converted(
    tiny_models: Any, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Artifact]]:
    """Convert every model along SafeTensors -> APR -> GGUF -> SafeTensors."""
    root = tmp_path_factory.mktemp("converted")
    made: dict[str, dict[str, Artifact]] = {}
    for name in NAMES:
        source = tiny_models.artifact(name)
        apr = convert(source, Format.APR, root / name / "apr")
        gguf = convert(apr, Format.GGUF, root / name / "gguf")
        back = convert(gguf, Format.SAFETENSORS, root / name / "back")
        made[name] = {"source": source, "apr": apr, "gguf": gguf, "back": back}
    return made


@pytest.fixture(scope="module")
def said_by_llama_cpp(
    converted: dict[str, dict[str, Artifact]], ask_llama_cpp: Callable[..., dict[str, Any]]
) -> dict[str, Any]:
    return ask_llama_cpp([converted[name]["gguf"].path for name in NAMES])


@pytest.fixture(scope="module")
def said_by_transformers(
    converted: dict[str, dict[str, Artifact]],
    ask_transformers: Callable[[list[Path]], dict[str, Any]],
) -> dict[str, Any]:
    return ask_transformers([converted[name]["back"].path for name in NAMES])


def test_every_model_of_the_outside_is_tested(tiny_models: Any) -> None:
    assert set(tiny_models.names) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_gguf_says_in_llama_cpp_what_the_original_says_in_transformers(
    tiny_models: Any,
    converted: dict[str, dict[str, Artifact]],
    said_by_llama_cpp: dict[str, Any],
    name: str,
) -> None:
    answer = said_by_llama_cpp[str(converted[name]["gguf"].path)]
    assert "refused" not in answer
    reference = np.array(tiny_models.logprobs[name])
    compared = 0
    for expected, told in zip(reference, answer["logprobs"], strict=True):
        if not told:
            continue
        found = np.full_like(expected, -np.inf)
        found[[int(token) for token in told]] = list(told.values())
        assert expected.max() - expected.mean() > SPREAD
        assert found.argmax() == expected.argmax()
        assert kl(expected, found) < MAX_KL
        compared += 1
    assert compared >= FEWEST_POSITIONS


@pytest.mark.parametrize("name", NAMES)
def test_transformers_loads_the_way_back_whole_and_says_the_same(
    tiny_models: Any,
    converted: dict[str, dict[str, Artifact]],
    said_by_transformers: dict[str, Any],
    name: str,
) -> None:
    answer = said_by_transformers[str(converted[name]["back"].path)]
    assert (answer["missing"], answer["unexpected"], answer["mismatched"]) == ([], [], [])
    tolerance = 1e-4 if name in SHIFTED else 1e-5 if name in ADDED_UP_OTHERWISE else 0
    np.testing.assert_allclose(answer["logprobs"], tiny_models.logprobs[name], atol=tolerance)
    assert answer["chat"] == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert answer["eos"] == "<|im_end|>"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SHIFTED])
def test_the_way_back_gives_every_bit_back(
    converted: dict[str, dict[str, Artifact]], name: str
) -> None:
    source, back = converted[name]["source"], converted[name]["back"]
    with model_tensors(source) as (_, ours), model_tensors(back) as (_, theirs):
        assert len(ours) > 2
        for one, other in zip(ours, theirs, strict=True):
            assert (one.name, one.dtype, one.shape) == (other.name, other.dtype, other.shape)
            assert np.array_equal(one.data(), other.data())


@pytest.mark.parametrize("name", [name for name in NAMES if not name.endswith("-fused")])
def test_the_way_back_has_the_tensors_of_the_original_under_their_names(
    converted: dict[str, dict[str, Artifact]], name: str
) -> None:
    source, back = converted[name]["source"], converted[name]["back"]
    with open_tensors(source.path) as one, open_tensors(back.path) as other:
        assert {tensor: info.shape for tensor, info in one.tensors.items()} == {
            tensor: info.shape for tensor, info in other.tensors.items()
        }


def kl(expected: npt.NDArray[np.float64], found: npt.NDArray[np.float64]) -> float:
    """Return the Kullback-Leibler divergence of two log-distributions, in nats."""
    return float((np.exp(expected) * (expected - found)).sum())
