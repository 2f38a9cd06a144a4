"""The error of each layer, from comparisons of its tensors."""

from __future__ import annotations

import pytest

from pytest_aprqa.judge.by_layer import errors_by_layer
from pytest_aprqa.judge.tensors import TensorComparison, same_tensor


def compared(name: str, error: float, shape: tuple[int, ...] = (2, 2)) -> TensorComparison:
    return TensorComparison(name, (2, 2), shape, elements=4, relative_error=error)


@pytest.mark.parametrize("start", ["model.layers", "transformer.h", "h", "blk"])
def test_a_layer_is_as_far_off_as_its_worst_tensor(start: str) -> None:
    found = errors_by_layer(
        [
            compared("model.embed_tokens.weight", 0.9),
            compared(f"{start}.2.mlp.experts.7.up.weight", 0.25),
            same_tensor(f"{start}.0.norm.weight", (2,)),
            compared(f"{start}.0.mlp.up.weight", 0.123456),
            compared(f"{start}.0.mlp.down.weight", 0.01),
        ]
    )
    assert found == [0.1235, 0.0, 0.25]


@pytest.mark.parametrize(
    "broken", [compared("h.0.w", 0.0, (2, 3)), compared("h.0.w", float("nan"))]
)
def test_what_cannot_be_compared_is_off_by_all_of_it(broken: TensorComparison) -> None:
    assert errors_by_layer([broken]) == [1.0]


def test_without_layers_there_is_nothing() -> None:
    assert errors_by_layer([compared("lm_head.weight", 0.5)]) == []
