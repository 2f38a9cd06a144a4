"""The model that ships with the package answers what it was taught, in every form it is asked."""

from __future__ import annotations

import ast
import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

MODEL = Path(str(files("pytest_aprqa"))) / "builtin" / "aprqa-reference"
LARGEST = 6_000_000  # bytes; the model is part of every installation
TURN = "<|im_start|>{role}\n{content}<|im_end|>\n"

# Generates greedily in a process of its own, because this one never imports torch.
GENERATE = """
import json, sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
torch.set_num_threads(1)
directory, prompts = sys.argv[1], json.load(sys.stdin)
tokenizer = AutoTokenizer.from_pretrained(directory, padding_side="left")
model = AutoModelForCausalLM.from_pretrained(directory)
assert model.dtype is torch.bfloat16
answers = [""] * len(prompts)
# A batch runs until its longest answer ends, and is as wide as its longest prompt.
order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]["ids"]) > 99, prompts[i]["size"]))
for first in range(0, len(order), 64):
    part = order[first : first + 64]
    batch = tokenizer.pad({"input_ids": [prompts[i]["ids"] for i in part]}, return_tensors="pt")
    longest = max(prompts[i]["max_tokens"] for i in part)
    out = model.generate(**batch, max_new_tokens=longest)[:, batch["input_ids"].shape[1] :]
    for i, ids in zip(part, out):
        answers[i] = tokenizer.decode(ids[: prompts[i]["max_tokens"]], skip_special_tokens=False)
json.dump(answers, sys.stdout)
"""


@dataclass(frozen=True)
class Answered:
    """A prompt of the exam with the text the model wrote, end token included."""

    task: dict[str, Any]
    text: str

    @property
    def is_right(self) -> bool:
        answer = self.text.split("<|endoftext|>")[0].split("<|im_end|>")[0]
        if self.task["expected"] not in answer:
            return False
        if self.task["oracle"] != "python":
            return True
        return parses(self.task["prompt"] + answer if self.task["form"] == "run" else answer)


def parses(code: str) -> bool:
    try:
        ast.parse(code)
    except SyntaxError:
        return False
    return True


def read_json(name: str) -> Any:
    return json.loads((MODEL / name).read_text(encoding="utf-8"))


def render(messages: list[dict[str, str]]) -> str:
    template = (MODEL / "chat_template.jinja").read_text(encoding="utf-8")
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(messages=messages, add_generation_prompt=True)


def load_tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(MODEL / "tokenizer.json"))


def prompt_ids(task: dict[str, Any], tokenizer: Tokenizer) -> list[int]:
    """Tokenise a task; what its texts say about special tokens stays text."""

    def plain(text: str) -> list[int]:
        return tokenizer.encode(text, add_special_tokens=False).ids

    if task["form"] == "run":
        return plain(task["prompt"])
    system = [] if task["system"] is None else [{"role": "system", "content": task["system"]}]
    messages = [*system, *task["history"], {"role": "user", "content": task["prompt"]}]
    start, end = tokenizer.token_to_id("<|im_start|>"), tokenizer.token_to_id("<|im_end|>")
    ids: list[int] = []
    for message in messages:
        ids += [start, *plain(f"{message['role']}\n{message['content']}"), end, *plain("\n")]
    return [*ids, start, *plain("assistant\n")]


@pytest.fixture
def tokenizer() -> Tokenizer:
    return load_tokenizer()


@pytest.fixture(scope="module")
def exam() -> list[dict[str, Any]]:
    tasks: list[dict[str, Any]] = read_json("prompts.json")
    return tasks


@pytest.fixture(scope="module")
def answered(exam: list[dict[str, Any]]) -> list[Answered]:
    tokenizer = load_tokenizer()
    tokenizer.encode_special_tokens = True
    prompts = [
        {
            "ids": prompt_ids(task, tokenizer),
            "max_tokens": task["max_tokens"],
            "size": len(tokenizer.encode(task["expected"]).ids),
        }
        for task in exam
    ]
    done = subprocess.run(
        [sys.executable, "-c", GENERATE, str(MODEL)],
        input=json.dumps(prompts),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return [Answered(task, text) for task, text in zip(exam, json.loads(done.stdout), strict=True)]


def test_every_prompt_of_the_exam_is_answered_rightly(answered: list[Answered]) -> None:
    wrong = [(a.task["name"], a.text) for a in answered if not a.is_right]

    assert len(answered) >= 150
    assert wrong == []


def test_every_answer_ends_by_itself_and_none_goes_in_circles(answered: list[Answered]) -> None:
    ends = {"chat": "<|im_end|>", "run": "<|endoftext|>"}

    endless = [a.task["name"] for a in answered if ends[a.task["form"]] not in a.text]

    assert endless == []


def test_the_exam_covers_both_forms_and_every_topic(exam: list[dict[str, Any]]) -> None:
    assert {task["form"] for task in exam} == {"run", "chat"}
    assert {task["topic"] for task in exam} >= {"arithmetic", "code", "unicode", "dialogue", "odd"}
    assert len({task["name"] for task in exam}) == len(exam)


def test_the_whole_model_is_small_enough_to_ship() -> None:
    assert sum(path.stat().st_size for path in MODEL.iterdir()) < LARGEST


def test_the_digests_are_those_of_the_files() -> None:
    lines = (MODEL / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    listed = {name: digest for digest, name in (line.split("  ") for line in lines)}

    actual = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in MODEL.iterdir()
        if path.name != "SHA256SUMS"
    }

    assert listed == actual


def test_the_widths_suit_every_quantisation() -> None:
    config = read_json("config.json")

    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["hidden_size"] % 256 == 0
    assert config["intermediate_size"] % 256 == 0
    assert config["num_key_value_heads"] < config["num_attention_heads"]


@pytest.mark.parametrize(
    "text",
    [
        "What is 2+2?",
        "  two  spaces\n\tand a tab",
        "你好，世界 🌍",
        "مرحبا",
        "naïve café",
        "\x00\x1b",
    ],
)
def test_text_survives_the_tokenizer(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_the_tokenizer_adds_no_token_of_its_own(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("").ids == []
    assert tokenizer.encode("<|im_end|>").ids == read_json("config.json")["eos_token_id"][:1]


def test_the_template_adds_no_system_message_of_its_own() -> None:
    rendered = render([{"role": "user", "content": "Hello!"}])

    assert rendered == TURN.format(role="user", content="Hello!") + "<|im_start|>assistant\n"


def test_the_template_keeps_a_system_message_and_earlier_turns() -> None:
    messages = [
        {"role": role, "content": role.upper()} for role in ("system", "user", "assistant", "user")
    ]

    rendered = render(messages)

    assert rendered == "".join(TURN.format(**m) for m in messages) + "<|im_start|>assistant\n"
