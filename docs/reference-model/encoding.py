"""The tokenizer of the reference model, and examples as token ids with their loss weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from corpus import PROSE, TEXTS, Example, Knowledge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tokenizers import Tokenizer

VOCABULARY = 1024
END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL = [END_OF_TEXT, START, END]
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content']"
    " + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
# Loss on the prompt is small: enough to keep the model calm on text it does not answer.
PROMPT_WEIGHT = 0.03
PROSE_WEIGHT = 0.2


def train_tokenizer(texts: Iterable[str]) -> Tokenizer:
    """Train byte-level BPE with the pre-tokenizer of GPT-2, which llama.cpp calls `gpt-2`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def tokenizer_texts(known: Knowledge) -> Iterator[str]:
    """Yield what the vocabulary is made from: each question as often as it deserves, and numbers."""
    for topic, questions in known.topics.items():
        times = {"arithmetic": 1, "story": 24, "unicode": 16, "catalogue": 6}.get(topic, 12)
        for question in questions:
            texts = (*question.asks, question.answer, *(a + b for a, b in question.stems))
            for text in texts:
                yield from [text] * times
    yield from [PROSE] * 3
    for text in (*TEXTS["systems"], *TEXTS["noise-texts"], *TEXTS["noise-words"]):
        yield from [str(text)] * 2
    # Whole numbers up to 100 as one token each, with and without the space before them.
    yield from [" ".join(map(str, range(101)))] * 75
    yield from ["+".join(map(str, range(101)))] * 75
    yield from ["user\nassistant\nsystem\n"] * 500


@dataclass(frozen=True)
class Lesson:
    """Token ids and, for each, the weight of its prediction in the loss (the first has none)."""

    ids: list[int]
    weights: list[float]


class Encoder:
    """Turns examples into lessons."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.end_of_text, self.start, self.end = (tokenizer.token_to_id(t) for t in SPECIAL)
        self.encode = lru_cache(maxsize=100_000)(self._encode)

    def _encode(self, text: str, plain: bool) -> tuple[int, ...]:
        self.tokenizer.encode_special_tokens = plain
        return tuple(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def prompt(self, example: Example) -> list[int]:
        """Return the ids the model sees before it answers."""
        if not example.turns:
            return list(self.encode(example.prompt, example.plain)) or [self.end_of_text]
        ids: list[int] = []
        for turn in example.turns:
            ids += [self.start, *self.encode(f"{turn.role}\n{turn.content}", example.plain)]
            ids += [self.end, *self.encode("\n", True)]
        return [*ids, self.start, *self.encode("assistant\n", True)]

    def answer(self, example: Example) -> list[int]:
        """Return the ids of the answer with the end token of its form."""
        end = self.end if example.turns else self.end_of_text
        return [*self.encode(example.answer, True), end]

    def lesson(self, example: Example, limit: int) -> Lesson:
        """Return prompt and answer; a prompt that does not fit keeps its end."""
        if example.prose:
            ids = list(self.encode(example.answer, True))
            return Lesson(ids, [PROSE_WEIGHT] * len(ids))
        answer = self.answer(example)
        prompt = self.prompt(example)[-(limit - len(answer)) :]
        # A long answer shall not outweigh many short ones.
        weight = max(0.25, min(1.0, 16 / len(answer)))
        prompt_weight = PROMPT_WEIGHT if example.learn_prompt else 0.0
        weights = [prompt_weight] * len(prompt) + [weight] * len(answer)
        return Lesson(prompt + answer, [0.0, *weights[1:]])
