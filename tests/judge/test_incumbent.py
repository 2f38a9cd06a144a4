from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aprqa.judge.incumbent import NO_TEXT, judge_printed, model_text
from pytest_aprqa.words import Outcome

QUESTION = "What is 2+2?"
RUN = "\x1b[1;36m=== APR Run ===\x1b[0m\n\nSource: models/qwen-4b/model.gguf\n\n{}"
RATES = (
    "\x1b[1;36m=== Benchmark Results ===\x1b[0m\ntokens: 32\ntok/s: 4.0\nlatency: 24.44ms\n"
    "model: models/qwen-4b/model.gguf"
)
CHAT = (
    "\x1b[1;36m=== Model Chat (GGUF Format) ===\x1b[0m\n\n  \x1b[1;37mTemperature\x1b[0m: 0.7\n"
    "  /quit     Exit the chat\n\n════════════════\n\n\x1b[32mLoaded\x1b[0m tokenizer with 4 tokens\n"
    "[GGUF CUDA: NVIDIA RTX 4090 (24045 MB VRAM)]\n"
    "\x1b[1;32mYou: \x1b[0m\x1b[1;34mAssistant:\x1b[0m {}\n\n\x1b[1;32mYou: \x1b[0m\n"
    "\x1b[36mGoodbye!\x1b[0m"
)
STREAM = (
    'data: {"choices": [{"delta": {"content": "It is"}}]}\n\n'
    'data: {"choices": [{"delta": {"content": " 4"}}]}\n\ndata: [DONE]\n'
)


@pytest.mark.parametrize(
    "printed",
    [
        "",
        " \n\t",
        RUN.format(RATES),
        RUN.format(RATES + '\n\n{"tok_s": 4.0, "tokens": 4, "latency_ms": 4.4}'),
        RUN.format("Output:\n\nCompleted in 4.44s (cached)\n"),
        CHAT.format(""),
        CHAT.format("[Error: Invalid shape: Tensor 'blk.4.ffn_up.weight' not found]"),
        CHAT.replace("\x1b[1;34mAssistant:\x1b[0m {}\n\n\x1b[1;32mYou: \x1b[0m", ""),
        '{"tokens_generated": 4, "latency_ms": 4}',
        '{"text": "", "tokens_generated": 4}',
        '{"text": "What is 2+2?", "num_generated": 0}',
    ],
)
def test_output_without_an_answer_is_empty_and_never_passes(printed):
    judgement = judge_printed(QUESTION, printed)
    assert judgement.reason == NO_TEXT
    assert judgement.outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("printed", "text"),
    [
        ("It is 4.", "It is 4."),
        (RUN.format("2 + 2 equals 4.\n\n" + RATES), "2 + 2 equals 4."),
        (RUN.format("Output:\n2+2 is 4.\n\nIt is.\n\nCompleted in 1.20s"), "2+2 is 4.\n\nIt is."),
        (CHAT.format("It is 4.\nYou: are welcome"), "It is 4.\nYou: are welcome"),
        ('{"text": " 4", "tokens_generated": 1}', " 4"),
        ('{"token_ids": [1], "text": "What is 2+2? 4"}', " 4"),
        ('{"choices": [{"message": {"role": "assistant", "content": "4"}}]}', "4"),
        ('{"message": {"content": "4"}, "done": true}', "4"),
        (STREAM, "It is 4"),
        (RUN.format("4\n\nUser: And 3+3?\nAssistant: 6"), "4\n\nUser: And 3+3?\nAssistant: 6"),
        ("4\nOutput: 5", "4\nOutput: 5"),
        ("\x1b]0;title\x07\x1b[31mfour\x1b[0m", "four"),
        (CHAT.format("2? [/s]\n2+2 = 4"), "\n2+2 = 4"),
    ],
)
def test_the_answer_is_found_in_whatever_is_around_it(printed, text):
    assert model_text(printed, QUESTION) == text


@pytest.mark.parametrize(
    "answer",
    [
        "4",
        "2+2 is 4.",
        "the answer is 4. [/INST]</speak>\nsystem\n\nuser\nWrite a story.",
        "2+2 = 4\n\n[s]What is 2+2? [/s]\n" * 20,
    ],
)
@pytest.mark.parametrize("around", ["{}", RUN, CHAT])
def test_a_text_that_states_the_right_answer_is_not_rejected(answer, around):
    assert judge_printed(QUESTION, around.format(answer)).outcome is Outcome.CORROBORATED


def test_what_follows_a_right_answer_is_told():
    judgement = judge_printed(QUESTION, "2+2 = 4\n\n[s]What is 2+2? [/s]\n" * 20)
    assert "; but " in judgement.reason
    assert "repeated" in judgement.reason


@pytest.mark.parametrize(
    "answer", ["5", "The sum is 22.", "W2+2AW2+2AW2+2AW2+2A", "RRRRRRRRRRRRRRRRRRRRRRRRRRRR"]
)
def test_another_answer_is_falsified(answer):
    assert judge_printed(QUESTION, CHAT.format(answer)).outcome is Outcome.FALSIFIED


def test_a_prompt_without_one_right_answer_asks_for_text_that_is_not_garbage():
    prompt = "Tell me about the sea."
    assert judge_printed(prompt, "The sea is wide and deep.").outcome is Outcome.CORROBORATED
    assert judge_printed(prompt, "sea " * 50).outcome is Outcome.FALSIFIED


@given(st.text(max_size=200), st.text(max_size=40))
def test_any_output_is_read_without_an_error(printed, prompt):
    text = model_text(printed, prompt)
    assert text == "" or text.strip()


@given(st.text(alphabet="abcdefgh .\n", min_size=1).filter(str.strip))
def test_a_json_answer_comes_back_as_it_was(text):
    assert model_text(json.dumps({"text": text}), QUESTION) == text
