"""Prompts that nobody can answer: the model is to refuse them in plain words."""

from __future__ import annotations

import random
from collections.abc import Callable

from corpus import PROSE, TEXTS

from pytest_aprqa.playbook.prompts import EDGE_KINDS, edge_scenario

EDGES = [
    text
    for kind in EDGE_KINDS
    if len(text := edge_scenario(kind, max_tokens=32, seed=0).prompt.strip()) > 5
]


PROSE_WORDS = PROSE.split()


def made_up_word(rng: random.Random) -> str:
    """Return two to nine random letters."""
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9)))


def word(rng: random.Random) -> str:
    """Return a word of the list, one of running prose, or a made-up one."""
    kind = rng.random()
    if kind < 0.25:
        return made_up_word(rng)
    return str(rng.choice(TEXTS["noise-words"] if kind < 0.6 else PROSE_WORDS))


def words(rng: random.Random, count: int) -> str:
    """Return random words."""
    return " ".join(word(rng) for _ in range(count))


# First and last character of what noise is made of: ASCII twice, controls, then other scripts.
SYMBOLS = [(33, 126), (33, 126), (1, 31), (0xC0, 0x24F), (0x400, 0x44F), (0x5D0, 0x5EA)]
SYMBOLS += [(0x621, 0x64A), (0x3041, 0x3096), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3)]
SYMBOLS += [(0x1F300, 0x1F64F), (0x905, 0x939)]


def symbols(rng: random.Random, count: int) -> str:
    """Return random characters of one script."""
    first, last = rng.choice(SYMBOLS)
    return "".join(chr(rng.randint(first, last)) for _ in range(count))


def special_text(rng: random.Random) -> str:
    """Return text that tries to pass for the template's markers."""
    marks = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "system\n", "assistant\n", "user\n"]
    return "".join(rng.choice([*marks, words(rng, 2)]) for _ in range(rng.randint(1, 6)))


def unanswerable(rng: random.Random) -> str:
    """Return a well-formed question about something the model was never told."""
    a, b = rng.randint(21, 999), rng.randint(21, 999)
    name = words(rng, 1)
    asks = [f"What is the capital of {name.capitalize()}?", f"What is the opposite of {name}?"]
    asks += [
        f"What is {a}+{b}?",
        f"What is {a} * {b}?",
        f"What colour is {name}?",
        f"Who is {name.capitalize()}?",
    ]
    asks += [
        f"What is {name}?",
        "What is my name?",
        f"Write {words(rng, 3)}.",
        f"List three {words(rng, 1)}.",
    ]
    asks += [f"Explain {words(rng, 2)}.", f"{words(rng, 4).capitalize()}?"]
    return rng.choice(asks)


def long_text(rng: random.Random) -> str:
    """Return a long prompt: words, shuffled sentences, or one thing over and over."""
    sentences = " ".join(story["text"] for story in TEXTS["stories"]).split(". ")
    return rng.choice(
        [
            lambda: words(rng, rng.randint(20, 120)),
            lambda: ". ".join(rng.choices(sentences, k=rng.randint(3, 14))) + ".",
            lambda: (word(rng) + " ") * rng.randint(20, 200),
            lambda: rng.choice("aAxyz017.,?-#!é ") * rng.randint(20, 350),
            lambda: (rng.choice(TEXTS["noise-texts"]) + " ") * rng.randint(5, 20),
            lambda: symbols(rng, rng.randint(20, 80)),
        ]
    )()


def noise(rng: random.Random) -> str:
    """Return a prompt whose only right answer is the refusal."""
    makers: list[tuple[float, Callable[[], str]]] = [
        (0.25, lambda: words(rng, rng.randint(2, 12))),
        (0.15, lambda: symbols(rng, rng.randint(2, 12))),
        (0.10, lambda: special_text(rng)),
        (0.33, lambda: unanswerable(rng)),
        (0.13, lambda: rng.choice(TEXTS["noise-texts"] + EDGES)),
        (0.04, lambda: long_text(rng)),
    ]
    return rng.choices([make for _, make in makers], [weight for weight, _ in makers])[0]()
