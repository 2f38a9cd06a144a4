"""Faults of the weights: right numbers in wrong places, and wrong numbers in right places."""

from __future__ import annotations

from random import Random

import numpy as np

from pytest_aprqa.falsify.fault import (
    Family,
    Faults,
    NotApplicableError,
    Original,
    Sample,
    converted,
    everywhere,
)
from pytest_aprqa.falsify.gate import Gate
from pytest_aprqa.falsify.weights_file import Floats, Stored, WeightsFile, edited

fault = Faults(Family.WEIGHTS)

_BROKEN = converted(Gate.I4, reference=Gate.QUAL)
"""Gates for a fault that ruins the answers: a reference has only those to show it."""

_FEW = converted(Gate.I4, reference=Gate.DIGEST)
"""Gates for a fault that spoils some answers: a few questions need not meet them."""

_FEW_WHY = "a few short questions can survive one spoilt layer; many questions show it"

_SUBTLE = converted(Gate.I4, reference=Gate.DIGEST)
"""Gates for a fault that ruins no answer."""

_SUBTLE_WHY = (
    "SafeTensors are the ground truth: a model with these weights is as possible as the one "
    "without, and it answers as well"
)


@fault(
    "transposed-square",
    "the square output projection of a layer is transposed",
    _FEW,
    blind=_FEW_WHY,
)
def transposed_square(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        name = file.layer(file.middle, "self_attn.o_proj.weight")
        values = file.values(name)
        if values.shape[0] != values.shape[1]:
            raise NotApplicableError("the output projection is not square")
        file.put(name, values.T)


@fault(
    "reshaped",
    "a matrix lies column by column under the shape of rows",
    _BROKEN,
)
def reshaped(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        for layer in range(file.config.num_layers):
            name = file.layer(layer, "mlp.down_proj.weight")
            values = file.values(name)
            file.put(name, values.T.reshape(values.shape))


@fault("shape-reversed", "a matrix has its dimensions in reverse", everywhere(Gate.G0))
def shape_reversed(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        name = file.layer(file.middle, "mlp.down_proj.weight")
        stored = file.tensors[name]
        file.tensors[name] = Stored(stored.dtype, stored.shape[::-1], stored.data)


@fault(
    "query-heads-permuted",
    "the heads of one layer's query projection changed places",
    _FEW,
    blind=_FEW_WHY,
)
def query_heads_permuted(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        _permute_heads(file, "self_attn.q_proj.weight")


@fault(
    "key-heads-permuted",
    "the heads of one layer's key projection changed places",
    _FEW,
    blind=_FEW_WHY,
)
def key_heads_permuted(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        if file.config.num_kv_heads == 1:
            raise NotApplicableError("there is one key head only")
        _permute_heads(file, "self_attn.k_proj.weight")


def _permute_heads(file: WeightsFile, part: str) -> None:
    name = file.layer(file.middle, part)
    rows = file.tensors[name].rows
    heads = rows.reshape(-1, file.config.head_dim, rows.shape[1])
    file.put_rows(name, np.roll(heads, 1, axis=0))


@fault(
    "rope-order",
    "query and key rows are in the order of the other rotary convention, in every layer",
    _BROKEN,
)
def rope_order(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        for layer in range(file.config.num_layers):
            for part in ("self_attn.q_proj.weight", "self_attn.k_proj.weight"):
                name = file.layer(layer, part)
                rows = file.tensors[name].rows
                halves = rows.reshape(-1, 2, file.config.head_dim // 2, rows.shape[1])
                file.put_rows(name, halves.swapaxes(1, 2))


@fault("layers-swapped", "two neighbouring layers changed places", _BROKEN)
def layers_swapped(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        for name in file.of_layer(file.middle):
            file.swap(name, file.in_layer(name, file.middle - 1))


@fault("layer-repeated", "a layer is a copy of the one before it", _FEW, blind=_FEW_WHY)
def layer_repeated(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        for name in file.of_layer(file.middle):
            file.tensors[name] = file.tensors[file.in_layer(name, file.middle - 1)]


@fault("layer-of-another-model", "one layer has the weights of another model", _FEW, blind=_FEW_WHY)
def layer_of_another_model(sample: Sample, random: Random) -> None:
    """Replace a layer by numbers of the same size and spread, as another training gives them."""
    with edited(sample) as file:
        generator = np.random.default_rng(random.randrange(2**32))
        for name in file.of_layer(file.middle):
            values = file.values(name)
            if values.ndim > 1:
                file.put(name, _another(values, generator))


def _another(values: Floats, generator: np.random.Generator) -> Floats:
    drawn = generator.normal(values.mean(), values.std(), values.shape)
    return drawn.astype(np.float32)


@fault("norm-zeroed", "the scales of one norm are zero", everywhere(Gate.G0))
def norm_zeroed(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        name = file.layer(file.middle, "input_layernorm.weight")
        file.put(name, np.zeros_like(file.values(name)))


@fault("norm-lost", "the scales of the last norm are all one, as initialised", _FEW, blind=_FEW_WHY)
def norm_lost(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        name = file.name("model.norm.weight")
        file.put(name, np.ones_like(file.values(name)))


@fault("norms-swapped", "the two norms of every layer changed places", _FEW, blind=_FEW_WHY)
def norms_swapped(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        for layer in range(file.config.num_layers):
            file.swap(
                file.layer(layer, "input_layernorm.weight"),
                file.layer(layer, "post_attention_layernorm.weight"),
            )


@fault(
    "gate-and-up-swapped", "the gate and the up projection of every layer changed places", _BROKEN
)
def gate_and_up_swapped(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        for layer in range(file.config.num_layers):
            file.swap(
                file.layer(layer, "mlp.gate_proj.weight"), file.layer(layer, "mlp.up_proj.weight")
            )


@fault(
    "key-and-value-swapped",
    "key and value projection of one layer changed places",
    _FEW,
    blind=_FEW_WHY,
)
def key_and_value_swapped(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        file.swap(
            file.layer(file.middle, "self_attn.k_proj.weight"),
            file.layer(file.middle, "self_attn.v_proj.weight"),
        )


@fault(
    "rows-negated",
    "every eighth row of an up projection has the other sign",
    _SUBTLE,
    blind=_SUBTLE_WHY,
)
def rows_negated(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        name = file.layer(file.middle, "mlp.up_proj.weight")
        values = file.values(name)
        values[::8] *= -1
        file.put(name, values)


@fault("row-scaled", "one row of a projection is doubled", _SUBTLE, blind=_SUBTLE_WHY)
def row_scaled(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        name = file.layer(file.middle, "mlp.up_proj.weight")
        values = file.values(name)
        values[random.randrange(len(values))] *= 2
        file.put(name, values)


@fault("matrix-scaled", "one matrix is five percent too large", _SUBTLE, blind=_SUBTLE_WHY)
def matrix_scaled(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        name = file.layer(file.middle, "self_attn.o_proj.weight")
        file.put(name, file.values(name) * np.float32(1.05))


@fault(
    "one-weight", "one weight of one matrix has a flipped exponent bit", _SUBTLE, blind=_SUBTLE_WHY
)
def one_weight(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        name = file.layer(file.middle, "self_attn.v_proj.weight")
        values = file.values(name)
        values[random.randrange(values.shape[0]), random.randrange(values.shape[1])] *= 16
        file.put(name, values)


@fault("noise", "two percent of noise is on every matrix", _SUBTLE, blind=_SUBTLE_WHY)
def noise(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        generator = np.random.default_rng(random.randrange(2**32))
        for name, stored in file.tensors.items():
            if len(stored.shape) > 1 and name not in file.embeddings:
                values = stored.values
                drawn = generator.normal(0, 0.02 * values.std(), values.shape)
                file.put(name, values + drawn.astype(np.float32))


@fault("rows-dead", "half of the rows of a projection are zero", everywhere(Gate.G0))
def rows_dead(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        name = file.layer(file.middle, "mlp.up_proj.weight")
        values = file.values(name)
        values[::2] = 0
        file.put(name, values)


@fault("not-a-number", "one weight is not a number", everywhere(Gate.G0))
def not_a_number(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        name = file.layer(file.middle, "self_attn.o_proj.weight")
        values = file.values(name)
        values[random.randrange(len(values)), 0] = np.nan
        file.put(name, values)


@fault("embedding-rows-permuted", "the rows of the embedding are in another order", _BROKEN)
def embedding_rows_permuted(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        order = np.random.default_rng(random.randrange(2**32)).permutation(file.config.vocab_size)
        for name in file.embeddings:
            file.put_rows(name, file.tensors[name].rows[order])


@fault("embedding-shifted", "every row of the embedding stands one id too late", _BROKEN)
def embedding_shifted(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        for name in file.embeddings:
            file.put_rows(name, np.roll(file.tensors[name].rows, 1, axis=0))


@fault(
    "embedding-row-exchanged",
    "two rare tokens have each other's embedding",
    _SUBTLE,
    blind="no question of a small tier asks for these two tokens",
)
def embedding_row_exchanged(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        for name in file.embeddings:
            rows = file.tensors[name].rows.copy()
            rows[[-1, -2]] = rows[[-2, -1]]
            file.put_rows(name, rows)


@fault("tensor-missing", "one tensor is not there", everywhere(Gate.G0))
def tensor_missing(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        del file.tensors[file.layer(file.middle, "self_attn.k_proj.weight")]


@fault(
    "tensor-extra", "a tensor is there that the architecture has no place for", everywhere(Gate.I2)
)
def tensor_extra(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        name = file.layer(file.middle, "self_attn.k_proj.weight")
        file.tensors[name.replace(".weight", ".lora_A")] = file.tensors[name]


@fault("layer-missing", "the last layer is not there", everywhere(Gate.G0))
def layer_missing(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        for name in file.of_layer(file.config.num_layers - 1):
            del file.tensors[name]


@fault(
    "bias-dropped",
    "the biases of one layer were left out",
    everywhere(Gate.G0),
    original=Original.BIASED,
)
def bias_dropped(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        for name in [n for n in file.of_layer(file.middle) if n.endswith(".bias")]:
            del file.tensors[name]


@fault(
    "bias-zeroed",
    "the bias of one value projection is zero",
    _FEW,
    blind=_FEW_WHY,
    original=Original.BIASED,
)
def bias_zeroed(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        name = file.layer(file.middle, "self_attn.v_proj.bias")
        file.put(name, np.zeros_like(file.values(name)))


@fault(
    "bias-swapped",
    "two layers have each other's biases",
    _FEW,
    blind=_FEW_WHY,
    original=Original.BIASED,
)
def bias_swapped(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        for layer in (file.middle,):
            one = file.layer(layer, "self_attn.o_proj.bias")
            file.swap(one, file.in_layer(one, layer - 1))


@fault("head-random", "the output head was initialised anew", _BROKEN, original=Original.UNTIED)
def head_random(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        name = file.name("lm_head.weight")
        generator = np.random.default_rng(random.randrange(2**32))
        file.put(name, _another(file.values(name), generator))


@fault(
    "head-permuted",
    "the rows of the output head are in another order",
    _BROKEN,
    original=Original.UNTIED,
)
def head_permuted(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        name = file.name("lm_head.weight")
        file.put_rows(name, file.tensors[name].rows[::-1])


@fault(
    "head-missing",
    "the output head of an untied model is not there",
    everywhere(Gate.G0),
    original=Original.UNTIED,
)
def head_missing(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        del file.tensors[file.name("lm_head.weight")]
