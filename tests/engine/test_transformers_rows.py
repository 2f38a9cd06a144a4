"""Prompts read in parts and answers that leave a batch give what each prompt gives by itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from pytest_aprqa.engine import transformers_rows
from pytest_aprqa.engine.transformers_decode import Decoded, Decoding, decode
from pytest_aprqa.engine.transformers_rows import Row, Rows, alike
from pytest_aprqa.observation import FinishReason

VOCABULARY = 200
SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "max_position_embeddings": 512,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "llama": (transformers.LlamaConfig, {}),
    "gemma2": (transformers.Gemma2Config, {"head_dim": 32, "sliding_window": 160}),
    "gemma3": (transformers.Gemma3TextConfig, {"head_dim": 32, "sliding_window": 160}),
    "falcon": (transformers.FalconConfig, {"num_key_value_heads": None, "alibi": True}),
    "gpt-neox": (transformers.GPTNeoXConfig, {"num_key_value_heads": None}),
    "qwen2-moe": (transformers.Qwen2MoeConfig, {**EXPERTS, "shared_expert_intermediate_size": 48}),
    "window-grows-full": (transformers.MistralConfig, {"sliding_window": 95}),
    "window-is-short": (transformers.MistralConfig, {"sliding_window": 24}),
}
LENGTHS = (90, 1, 30, 2, 33, 3, 88)
LIMITS = (20, 40, 1, 33, 7, 33, 5)


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest) -> Any:
    kind, changes = KINDS[request.param]
    torch.manual_seed(7)
    made = transformers.AutoModelForCausalLM.from_config(kind(**{**SHAPE, **changes})).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    made.generation_config = transformers.GenerationConfig(eos_token_id=None, pad_token_id=0)
    return made


def prompts() -> list[list[int]]:
    random = torch.Generator().manual_seed(3)
    return [torch.randint(3, VOCABULARY, (n,), generator=random).tolist() for n in LENGTHS]


def by_itself(model: Any, prompt: list[int], limit: int, eos: frozenset[int]) -> Any:
    """Continue one prompt without a batch and without a cache."""
    ids, told = list(prompt), []
    with torch.inference_mode():
        for _ in range(limit):
            logprobs = model(torch.tensor([ids]), use_cache=False).logits[0, -1].log_softmax(-1)
            (best, second), (token, _) = (each.tolist() for each in logprobs.topk(2))
            told.append((token, best, second))
            ids.append(token)
            if token in eos:
                break
    return tuple(zip(*told, strict=True))


def assert_same(found: Decoded, expected: Any) -> None:
    assert found.token_ids == expected[0]
    assert found.logprobs == pytest.approx(expected[1], abs=2e-4)
    assert found.runner_up == pytest.approx(expected[2], abs=2e-4)


def test_a_batch_of_many_lengths_and_limits_gives_what_each_prompt_gives(model: Any) -> None:
    how = Decoding(0.0, 0, frozenset(), 0)
    found = decode(model, prompts(), LIMITS, how)
    for one, prompt, limit in zip(found, prompts(), LIMITS, strict=True):
        assert_same(one, by_itself(model, prompt, limit, how.eos))
        assert one.finish is FinishReason.LENGTH


def test_an_answer_ends_with_its_end_of_sequence_and_the_others_go_on(model: Any) -> None:
    plain = decode(model, prompts(), LIMITS, Decoding(0.0, 0, frozenset(), 0))
    eos = frozenset({plain[0].token_ids[9], plain[1].token_ids[0]})
    found = decode(model, prompts(), LIMITS, Decoding(0.0, 0, eos, 0))
    for one, prompt, limit in zip(found, prompts(), LIMITS, strict=True):
        assert_same(one, by_itself(model, prompt, limit, eos))
        ended = one.token_ids[-1] in eos
        assert one.finish is (FinishReason.STOP if ended else FinishReason.LENGTH)
    assert found[1].finish is FinishReason.STOP
    assert len(found[0].token_ids) <= 10


def test_every_answer_may_end_with_its_first_token(model: Any) -> None:
    how = Decoding(0.0, 0, frozenset(range(VOCABULARY)), 0)
    found = decode(model, prompts(), LIMITS, how)
    assert [(len(one.token_ids), one.finish) for one in found] == [(1, FinishReason.STOP)] * 7


def test_a_window_that_holds_less_than_a_prompt_is_read_in_one_part(model: Any) -> None:
    rows = [Row(prompt, 1) for prompt in prompts()]
    window = getattr(model.config, "sliding_window", None) or 1000
    parts = alike(model, rows)
    assert (len(parts) == 1) is (window <= max(LENGTHS))
    assert sorted(len(row.prompt) for part in parts for row in part) == sorted(LENGTHS)


@given(st.lists(st.integers(1, 400), min_size=1, max_size=40))
def test_parts_cost_no_more_than_one(lengths: list[int]) -> None:
    ordered = sorted(lengths)
    rows = [Row([5] * length, 1) for length in ordered]
    parts = transformers_rows._cut(rows)
    assert [len(row.prompt) for part in parts for row in part] == ordered

    def cost(part: list[Row]) -> int:
        return transformers_rows._FORWARD + len(part) * len(part[-1].prompt)

    assert sum(map(cost, parts)) <= cost(rows)
    for part in parts:
        one = [len(row.prompt) for row in part]
        padding = [n * (one[-1] - length) for n, length in enumerate(one, 1)]
        assert max(padding) <= transformers_rows._FORWARD


def test_rows_that_are_finished_leave_with_their_tokens_and_padding() -> None:
    rows = Rows.of([Row([7, 8, 9], 5), Row([4], 5)], 0, "cpu")
    assert rows.ids.tolist() == [[7, 8, 9], [0, 0, 4]]
    assert rows.mask.tolist() == [[1, 1, 1], [0, 0, 1]]
    keys = torch.arange(2.0).reshape(2, 1, 1, 1)
    cache = transformers.DynamicCache()
    cache.update(keys, keys, 0)
    new = rows.grow(torch.tensor([[7, 8, 9, 2], [0, 0, 4, 6]]), cache)
    assert new.tolist() == [[2], [6]]
    rows.rows[0].take(frozenset({2}), [2], [-0.5], [-1.0])
    rows.rows[1].take(frozenset({2}), [6], [-0.5], [-1.0])
    rows.drop_finished()
    assert [row.token_ids for row in rows.rows] == [[6]]
    assert rows.ids.tolist() == [[0, 0, 4, 6]]
    assert rows.mask.tolist() == [[0, 0, 1, 1]]
    assert cache.layers[0].keys.tolist() == [[[[1.0]]]]
