"""Packed layers compute what plain ones do, and whatever cannot be packed stays plain."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pytest_aprqa.engine.transformers_packed import PackedLinear, pack_linears, packed

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
    [layer] = packed([linear])
    assert torch.equal(layer.weight, linear.weight)
    assert layer.bias is linear.bias


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
            found = model(rows)
    assert found.dtype is other
    torch.testing.assert_close(found, plain)
    assert not torch.equal(found.float(), exact)


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
    def refuse(linears: list[nn.Linear]) -> list[PackedLinear]:
        raise RuntimeError("could not create a primitive")

    model, rows = network(), torch.randn(2, 33)
    plain = model(rows)
    monkeypatch.setattr("pytest_aprqa.engine.transformers_packed.packed", refuse)
    assert pack_linears(model) == 0
    assert torch.equal(model(rows), plain)


class Attention(nn.Module):
    """Three layers that are given the same rows, as transformers names them; `biases` by layer."""

    def __init__(self, biases: tuple[bool, bool, bool] = (False, False, False)) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.q_proj = nn.Linear(40, 24, bias=biases[0])
        self.k_proj = nn.Linear(40, 8, bias=biases[1])
        self.v_proj = nn.Linear(40, 8, bias=biases[2])

    def forward(self, *rows: torch.Tensor) -> list[torch.Tensor]:
        queries, others = rows[0], rows[-1]
        return [self.q_proj(queries), self.k_proj(others), self.v_proj(others)]


@pytest.mark.parametrize("biases", [(False,) * 3, (True,) * 3, (True, False, True)])
@pytest.mark.parametrize("inputs", [1, 2])
def test_layers_with_one_input_give_the_same_numbers(
    biases: tuple[bool, bool, bool], inputs: int
) -> None:
    model = Attention(biases)
    pack_linears(model)
    with torch.inference_mode():
        for _ in range(2):
            rows = [torch.randn(2, 5, 40) for _ in range(inputs)]
            plain = Attention(biases)(*rows)
            torch.testing.assert_close(model(*rows), plain, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("biases", [(False,) * 3, (True,) * 3])
def test_layers_with_one_input_are_one_product(biases: tuple[bool, bool, bool]) -> None:
    model, rows = Attention(biases), torch.randn(1, 40)
    weights = [layer.weight.clone() for layer in (model.q_proj, model.k_proj, model.v_proj)]
    assert pack_linears(model) == 3
    layers = (model.q_proj, model.k_proj, model.v_proj)
    assert all(map(torch.equal, (layer.weight for layer in layers), weights))
    assert len({id(layer._weights) for layer in layers}) == 1
    with torch.inference_mode():
        model(rows)
    assert model.q_proj._weights._rows is None, "nothing is held when all have asked"


def test_a_layer_asked_twice_or_alone_is_right_each_time() -> None:
    model = Attention()
    rows, other = torch.randn(3, 40), torch.randn(4, 40)
    plain = [[layer(one) for layer in model.children()] for one in (rows, other)]
    pack_linears(model)
    with torch.inference_mode():
        torch.testing.assert_close(model.k_proj(rows), plain[0][1])
        torch.testing.assert_close(model.k_proj(rows), plain[0][1])
        torch.testing.assert_close(model.q_proj(other), plain[1][0])
        torch.testing.assert_close(model.v_proj(rows), plain[0][2])
        torch.testing.assert_close(model.v_proj(other), plain[1][2])
