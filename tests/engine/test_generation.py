"""What every engine that runs files answers, and that they agree on the same weights."""

from __future__ import annotations

import math

import httpx
import pytest

from pytest_aprqa.engine.protocol import Engine, EngineError, Fault, Request
from pytest_aprqa.observation import FinishReason, Usage
from pytest_aprqa.playbook.check import Message
from pytest_aprqa.words import Format

LIMIT = 60.0
PROMPTS = ["the quick brown", "hens", "and the lazy dog jumps over the other hens, 中 and é"]
CHAT = (Message("user", "the quick <|end|> fox"),)
CUT = "\ufffd"
HALF_PRECISION_CACHE = 0.02
"""Nats by which llama.cpp may differ: it keeps keys and values in 16 bits."""


@pytest.fixture(params=list(Format))
def engine(request: pytest.FixtureRequest) -> Engine:
    engine: Engine = request.getfixturevalue(f"{request.param}_engine")
    return engine


def test_the_load_report_tells_what_was_loaded(engine: Engine) -> None:
    report = engine.load(LIMIT)
    assert (report.device, report.vocab_size, report.context_length) == ("cpu", 300, 256)
    assert report.has_chat_template
    assert report.dtype in ("float32", "all F32")
    assert 0 < report.seconds < LIMIT
    assert report.threads == 1


def test_a_greedy_answer_comes_with_the_log_probability_of_every_token(engine: Engine) -> None:
    answer = engine.generate([Request(PROMPTS[0], max_tokens=12)], LIMIT)[0]
    assert answer.token_ids is not None
    assert answer.logprobs is not None
    assert answer.runner_up is not None
    assert answer.prompt_token_ids is not None
    assert len(answer.token_ids) == len(answer.logprobs) == len(answer.runner_up) == 12
    assert all(own >= other for own, other in zip(answer.logprobs, answer.runner_up, strict=True))
    assert answer.finish is FinishReason.LENGTH
    assert answer.usage == Usage(len(answer.prompt_token_ids), 12)
    sequence = (*answer.prompt_token_ids, *answer.token_ids)
    scores = engine.score([sequence], 2, LIMIT)[0]
    assert scores.logprobs[-12:] == pytest.approx(answer.logprobs, abs=2e-3)


def test_all_engines_give_the_same_greedy_tokens(
    safetensors_engine: Engine, gguf_engine: Engine, apr_engine: Engine
) -> None:
    requests = [Request(prompt, max_tokens=10) for prompt in PROMPTS]
    expected = [g.token_ids for g in safetensors_engine.generate(requests, LIMIT)]
    assert [g.token_ids for g in apr_engine.generate(requests, LIMIT)] == expected
    assert [g.token_ids for g in gguf_engine.generate(requests, LIMIT)] == expected


def test_a_batch_gives_what_single_requests_give_in_their_order(engine: Engine) -> None:
    requests = [Request(prompt, max_tokens=4 + i) for i, prompt in enumerate(PROMPTS * 2)]
    batch = [answer.token_ids for answer in engine.generate(requests, LIMIT)]
    assert batch == [engine.generate([request], LIMIT)[0].token_ids for request in requests]
    assert [len(ids or ()) for ids in batch] == [4, 5, 6, 7, 8, 9]


def test_a_repeated_request_is_answered_bit_by_bit_the_same(engine: Engine) -> None:
    request = Request(PROMPTS[2], max_tokens=16)
    first = engine.generate([request], LIMIT)[0]
    engine.generate([Request(PROMPTS[0], max_tokens=30)], LIMIT)
    again = engine.generate([request], LIMIT)[0]
    assert (first.token_ids, first.logprobs) == (again.token_ids, again.logprobs)


def test_chat_goes_through_the_template(engine: Engine) -> None:
    answer = engine.generate([Request(None, messages=CHAT, max_tokens=4)], LIMIT)[0]
    assert answer.rendered_prompt == "<|user|>the quick <|end|> fox<|end|><|assistant|>"
    assert answer.rendered_prompt == engine.render(CHAT, LIMIT)
    ids = engine.tokenize([answer.rendered_prompt], special=True, timeout=LIMIT)[0]
    assert answer.prompt_token_ids == tuple(ids)


def test_text_of_a_special_token_is_one_only_when_asked_for(engine: Engine) -> None:
    text = "fox<|end|>"
    plain, special = (
        engine.generate([Request(text, max_tokens=1, parse_special=parse)], LIMIT)[0]
        for parse in (False, True)
    )
    assert 0 not in (plain.prompt_token_ids or ())
    assert (special.prompt_token_ids or ())[-1] == 0
    assert engine.detokenize([list(special.prompt_token_ids or ())], LIMIT) == [text]


@pytest.mark.parametrize("text", ["", "hens", "中 é \U0001f600", "a\x00b\x07", "<|end|>", "  \n "])
def test_text_survives_tokens_and_back(engine: Engine, text: str) -> None:
    ids = engine.tokenize([text], special=False, timeout=LIMIT)
    assert engine.detokenize(ids, LIMIT) == [text]
    assert 0 not in ids[0]


def test_a_stream_gives_the_same_answer_with_the_time_of_its_first_token(engine: Engine) -> None:
    request = Request(PROMPTS[0], max_tokens=12)
    streamed = engine.stream(request, LIMIT)
    assert streamed.text == streamed.streamed_text == engine.generate([request], LIMIT)[0].text
    assert streamed.seconds_to_first_token is not None
    assert 0 < streamed.seconds_to_first_token <= streamed.seconds
    assert streamed.streamed_usage is not None
    assert streamed.streamed_usage.completion_tokens == 12


def test_a_cancelled_stream_is_the_beginning_of_the_answer(engine: Engine) -> None:
    request = Request(PROMPTS[0], max_tokens=40)
    whole = engine.generate([request], LIMIT)[0].text
    cut = engine.stream(request, LIMIT, cancel_after=3)
    assert cut.finish is FinishReason.CANCELLED
    assert cut.text
    assert whole.startswith(cut.text.rstrip(CUT))
    assert len(cut.text) < len(whole)
    assert engine.generate([request], LIMIT)[0].text == whole


def test_sampling_follows_its_seed(engine: Engine) -> None:
    def tokens(seed: int) -> tuple[int, ...] | None:
        request = Request(PROMPTS[0], max_tokens=12, temperature=1.0, seed=seed)
        return engine.generate([request], LIMIT)[0].token_ids

    assert tokens(1) == tokens(1)
    assert tokens(1) != tokens(2)


def test_an_empty_prompt_is_declined_with_the_reason(engine: Engine) -> None:
    answers = engine.generate([Request("", max_tokens=4), Request("hens", max_tokens=4)], LIMIT)
    assert answers[0].finish is FinishReason.REFUSED
    assert answers[0].refusal == "the prompt has no token"
    assert answers[1].finish is FinishReason.LENGTH


def test_a_prompt_past_the_context_is_declined_in_words_that_name_both(engine: Engine) -> None:
    requests = [Request("hens and " * 200, max_tokens=4), Request("hens", max_tokens=4)]
    declined, answered = engine.generate(requests, LIMIT)
    assert declined.finish is FinishReason.REFUSED
    assert "256" in declined.refusal
    assert str(len(declined.prompt_token_ids or ())) in declined.refusal
    assert answered.finish is FinishReason.LENGTH
    assert engine.stream(requests[0], LIMIT).finish is FinishReason.REFUSED


def test_an_answer_ends_where_the_context_ends(engine: Engine) -> None:
    answer = engine.generate([Request(PROMPTS[0], max_tokens=1000)], LIMIT)[0]
    assert answer.token_ids is not None
    assert answer.prompt_token_ids is not None
    if answer.finish is FinishReason.LENGTH:
        assert len(answer.token_ids) + len(answer.prompt_token_ids) == 256
    else:
        assert answer.token_ids[-1] == 0


def test_scores_agree_between_engines_position_by_position(
    safetensors_engine: Engine, gguf_engine: Engine, apr_engine: Engine
) -> None:
    texts = [*PROMPTS, "the <|end|> of hens"]
    sequences = safetensors_engine.tokenize(texts, special=True, timeout=LIMIT)
    assert gguf_engine.tokenize(texts, special=True, timeout=LIMIT) == sequences
    expected = safetensors_engine.score(sequences, 5, LIMIT)
    assert apr_engine.score(sequences, 5, LIMIT) == expected
    for ours, theirs in zip(gguf_engine.score(sequences, 5, LIMIT), expected, strict=True):
        assert ours.token_ids == theirs.token_ids
        assert len(ours.logprobs) == len(ours.token_ids) - 1
        assert ours.logprobs == pytest.approx(theirs.logprobs, abs=HALF_PRECISION_CACHE)
        for a, b in zip(ours.top_logprobs, theirs.top_logprobs, strict=True):
            assert a == pytest.approx(b, abs=HALF_PRECISION_CACHE)
            assert list(a) == sorted(a, reverse=True)


def test_the_whole_distribution_sums_to_one(engine: Engine) -> None:
    ids = engine.tokenize(["the hens"], special=False, timeout=LIMIT)
    scores = engine.score(ids, 300, LIMIT)[0]
    for top in scores.top_logprobs:
        assert len(top) == 300
        assert math.fsum(map(math.exp, top)) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_scores_in_another_dtype_are_near_and_not_the_same(
    safetensors_engine: Engine, dtype: str
) -> None:
    ids = [list(range(3, 40))]
    [own], [other] = (safetensors_engine.score(ids, 5, LIMIT, in_) for in_ in ("", dtype))
    assert other.logprobs == pytest.approx(own.logprobs, abs=0.2)
    assert other.logprobs != own.logprobs
    assert safetensors_engine.score(ids, 5, LIMIT) == [own]


def test_llama_cpp_says_that_it_computes_in_no_other_dtype(gguf_engine: Engine) -> None:
    with pytest.raises(EngineError, match="cannot be told to compute in float16") as refused:
        gguf_engine.score([[3, 4, 5]], 5, LIMIT, "float16")
    assert refused.value.fault is Fault.UNSUPPORTED


@pytest.mark.parametrize("ids", [[], [7]])
def test_sequences_without_a_position_have_no_score(engine: Engine, ids: list[int]) -> None:
    scores = engine.score([ids], 5, LIMIT)[0]
    assert scores.token_ids == tuple(ids)
    assert scores.logprobs == ()


@pytest.mark.parametrize("messages", [None, CHAT], ids=["raw", "chat"])
def test_the_real_server_answers_what_the_engine_answers(
    engine: Engine, messages: tuple[Message, ...] | None
) -> None:
    prompt = None if messages else PROMPTS[0]
    request = Request(prompt, messages=messages, max_tokens=12)
    direct = engine.generate([request], LIMIT)[0]
    served = engine.generate_over_http(request, LIMIT)
    assert served.text == direct.text
    # A streaming decoder holds back a character whose last bytes never come.
    assert (served.streamed_text or "").rstrip(CUT) == served.text.rstrip(CUT)
    assert served.usage == served.streamed_usage == direct.usage
    assert served.finish is direct.finish
    assert served.seconds_to_first_token is not None


def test_the_server_is_started_once(engine: Engine) -> None:
    endpoint = engine.serve(LIMIT)
    assert engine.serve(LIMIT) == endpoint
    assert endpoint.base_url.startswith("http://127.0.0.1:")
    assert endpoint.api_key not in repr(endpoint)


def test_the_server_turns_away_whoever_does_not_bear_its_key(engine: Engine) -> None:
    endpoint = engine.serve(LIMIT)
    question = {"model": endpoint.model, "prompt": PROMPTS[0], "max_tokens": 1}

    def status(key: str = "") -> int:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        url = f"{endpoint.base_url}/v1/completions"
        return httpx.post(url, json=question, headers=headers, timeout=LIMIT).status_code

    assert [status(), status("a guess"), status(endpoint.api_key[:-1])] == [401, 401, 401]
    assert status(endpoint.api_key) == 200


def test_a_sequence_past_the_context_is_no_crash_of_the_model(engine: Engine) -> None:
    with pytest.raises(EngineError, match="does not fit") as caught:
        engine.score([[7] * 300], 1, LIMIT)
    assert caught.value.fault is Fault.UNSUPPORTED
    assert engine.generate([Request("hens", max_tokens=1)], LIMIT)[0].token_ids
