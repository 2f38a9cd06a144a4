"""Packed layers compute what plain ones do, and whatever cannot be packed stays plain."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pytest_aprqa.engine.transformers_packed import PackedLinear, pack_linears

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="this build of torch is without oneDNN"
)


def network() -> nn.Sequential:
    torch.manual_seed(3)
    inner = nn.Sequential(nn.Linear(48, 17, bias=False), nn.SiLU(), nn.Linear(17, 5))
    return nn.Sequential(nn.Linear(33, 48), inner).eval()


@pytest.mark.parametrize("shape", [(1, 1, 33), (1, 7, 33), (16, 1, 33), (3, 50, 33), (33,)])
def test_a_packed_model_gives_the_same_numbers(shape: tuple[int, ...]) -> None:
    model, rows = network(), torch.randn(shape)
    with torch.inference_mode():
        plain = model(rows)
        assert pack_linears(model) == 3
        assert not any(isinstance(module, nn.Linear) for module in model.modules())
        torch.testing.assert_close(model(rows), plain, rtol=1e-5, atol=1e-6)


def test_a_tied_head_leaves_the_embedding_as_it_is() -> None:
    model = nn.ModuleDict({"embed": nn.Embedding(30, 8), "head": nn.Linear(8, 30, bias=False)})
    model["head"].weight = model["embed"].weight
    before = model["embed"].weight.clone()
    assert pack_linears(model) == 1
    assert torch.equal(model["embed"].weight, before)
    with torch.inference_mode():
        torch.testing.assert_close(model["head"](before[:4]), before[:4] @ before.T)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_packed_layer_still_tells_its_weight(dtype: torch.dtype) -> None:
    linear = nn.Linear(65, 33).to(dtype)
    packed = PackedLinear(linear)
    assert torch.equal(packed.weight, linear.weight)
    assert packed.bias is linear.bias


def test_bfloat16_gives_the_same_numbers_packed_or_not() -> None:
    model = network().to(torch.bfloat16)
    rows = torch.randn(4, 33).to(torch.bfloat16)
    with torch.inference_mode():
        plain = model(rows)
        pack_linears(model)
        torch.testing.assert_close(model(rows), plain)


@pytest.mark.parametrize("other", [torch.bfloat16, torch.float16])
def test_a_packed_model_multiplies_in_another_dtype_when_told_to(other: torch.dtype) -> None:
    model, rows = network(), torch.randn(4, 33)
    with torch.inference_mode():
        with torch.autocast("cpu", other):
            plain = model(rows)
        exact = model(rows)
        pack_linears(model)
        with torch.autocast("cpu", other):
            packed = model(rows)
    assert packed.dtype is other
    torch.testing.assert_close(packed, plain)
    assert not torch.equal(packed.float(), exact)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_other_dtypes_are_left_to_torch(dtype: torch.dtype) -> None:
    model = network().to(dtype)
    assert pack_linears(model) == 0


def test_a_layer_of_another_kind_is_left_as_it_is() -> None:
    class Scaled(nn.Linear):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(rows)

    model = nn.Sequential(Scaled(4, 4))
    assert pack_linears(model) == 0
    assert type(model[0]) is Scaled


def test_what_torch_cannot_pack_stays_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: PackedLinear, linear: nn.Linear) -> None:
        raise RuntimeError("could not create a primitive")

    model, rows = network(), torch.randn(2, 33)
    plain = model(rows)
    monkeypatch.setattr(PackedLinear, "__init__", refuse)
    assert pack_linears(model) == 0
    assert torch.equal(model(rows), plain)
