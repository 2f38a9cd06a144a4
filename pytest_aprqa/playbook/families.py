"""Families of generated questions, each with an answer that is known beforehand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib import resources

from pytest_aprqa.playbook.catalogue import written_questions
from pytest_aprqa.playbook.check import Message, OracleSpec, Scenario
from pytest_aprqa.playbook.draw import Draw
from pytest_aprqa.words import Modality


@dataclass(frozen=True, slots=True)
class Generated:
    """A question in two forms.

    Attributes:
        question: the form for conversation.
        stem: the form for completion: a text whose continuation is the answer.
        oracle: what judges the answer.
        history: earlier turns of the conversation; the stem holds what they say.
    """

    question: str
    stem: str
    oracle: OracleSpec
    history: tuple[Message, ...] = ()

    def scenario(self, name: str, modality: Modality, *, max_tokens: int, seed: int) -> Scenario:
        """Return the question as it is asked in one modality."""
        raw = modality is Modality.RUN
        return Scenario(
            name=name,
            prompt=self.stem if raw else self.question,
            history=() if raw else self.history,
            oracles=(self.oracle,),
            max_tokens=max_tokens,
            seed=seed,
        )


Family = Callable[[Draw], Generated]

COLOURS = ("red", "blue", "green", "black", "white", "brown", "yellow", "grey")
_NAMES = ("Anna", "Tom", "Maria", "Peter", "Nora", "Paul", "Clara", "Hugo")
_CITIES = ("Rome", "Paris", "Cairo", "Oslo", "Lima", "Tokyo", "Berlin", "Dublin")
_WORDS = ("apple", "river", "stone", "window", "candle", "garden", "winter", "silver", "harbour")
_PLACES = ("first", "second", "third", "fourth", "fifth")
_DRESSES: tuple[Callable[[str], str], ...] = (
    lambda text: f"  {text}",
    str.upper,
    lambda text: f"\n\n{text}",
    lambda text: f"\U0001f642 {text}",
    lambda text: f"\t{text}",
    lambda text: f"<b>{text}</b>",
    lambda text: f"\u201c{text}\u201d",
    lambda text: text.replace(" ", "  "),
)
"""Ways to write a question that change nothing of its meaning."""

_OPENERS = ("  ", "\n\n", "\t", "- ", "\U0001f642 ", "\u00bb ", "1) ")
"""What a text that is to be continued may begin with."""


def arithmetic(draw: Draw) -> Generated:
    """A sum, a difference or a product of two small numbers."""
    sign = draw.pick(("+", "-", "*"))
    left = draw.integer(0, 12 if sign == "*" else 99)
    right = draw.integer(0, 12 if sign == "*" else left if sign == "-" else 99)
    return _sum(draw, f"{left} {sign} {right}")


def long_sum(draw: Draw) -> Generated:
    """A sum of three to five numbers."""
    terms = [draw.integer(1, 20) for _ in range(draw.integer(3, 5))]
    return _sum(draw, " + ".join(map(str, terms)))


def _sum(draw: Draw, text: str) -> Generated:
    question = draw.pick(("What is {}?", "Calculate {}.", "How much is {}?"))
    return Generated(question.format(text), f"{text} =", OracleSpec("arithmetic"))


def _of_catalogue(kind: str, draw: Draw) -> Generated:
    question = draw.pick(written_questions(kind))
    return Generated(question.question, question.stem, question.oracle)


def edge(draw: Draw) -> Generated:
    """A plain question in an odd dress: capitals, white space, quotes, an emoji, a tag."""
    plain = _of_catalogue("fact", draw) if draw.integer(0, 1) else arithmetic(draw)
    dress, opener = draw.pick(_DRESSES), draw.pick(_OPENERS)
    return replace(plain, question=dress(plain.question), stem=opener + plain.stem)


def long_context(draw: Draw) -> Generated:
    """A number that is named once in pages about something else."""
    sentences = _sentences()
    count = draw.integer(2, 24)
    first = draw.integer(0, len(sentences) - 1)
    around = [sentences[(first + step) % len(sentences)] for step in range(count)]
    colour, number = draw.pick(COLOURS), draw.integer(11, 999)
    around.insert(draw.integer(0, count), f"The number of the {colour} door is {number}.")
    text = " ".join(around)
    return _recall(
        text, f"What is the number of the {colour} door?", f"The {colour} door is number", number
    )


def recall(draw: Draw) -> Generated:
    """One of several values by its key: each answer looks at one earlier token among many."""
    count = draw.integer(2, 6)
    start = draw.integer(0, len(COLOURS) - 1)
    keys = [COLOURS[(start + step) % len(COLOURS)] for step in range(count)]
    values = [draw.integer(1, 99) for _ in keys]
    place = draw.integer(0, count - 1)
    text = ", ".join(f"{key} is {value}" for key, value in zip(keys, values, strict=True)) + "."
    return _recall(
        text.capitalize(), f"Which number is {keys[place]}?", f"So {keys[place]} is", values[place]
    )


def _recall(text: str, question: str, stem: str, answer: int | str) -> Generated:
    oracle = OracleSpec("regex", {"pattern": rf"\b{answer}\b"})
    return Generated(f"{text}\n\n{question}", f"{text}\n\n{stem}", oracle)


def position(draw: Draw) -> Generated:
    """A word of a list by its place, which only the order of the tokens tells."""
    words, places = _some(draw, _WORDS, 5), draw.integer(0, 4)
    text = ", ".join(words)
    return Generated(
        f"Here is a list: {text}. What is the {_PLACES[places]} word of the list?",
        f"List: {text}.\nThe {_PLACES[places]} word of the list is",
        OracleSpec("contains", {"any": [words[places]]}),
    )


def copy(draw: Draw) -> Generated:
    """A row of words to repeat: what goes in through the embedding comes out through the head."""
    words = " ".join(_some(draw, _WORDS, draw.integer(1, 4)))
    return Generated(
        f"Repeat these words: {words}",
        f"Original: {words}\nCopy:",
        OracleSpec("contains", {"any": [words]}),
    )


def comparison(draw: Draw) -> Generated:
    """Two numbers close to each other, which one is larger: small offsets decide."""
    low = draw.integer(1, 98)
    high = low + draw.integer(1, 2)
    pair = (low, high) if draw.integer(0, 1) else (high, low)
    return Generated(
        f"Which number is larger, {pair[0]} or {pair[1]}?",
        f"Of {pair[0]} and {pair[1]}, the larger number is",
        OracleSpec("regex", {"pattern": rf"\b{high}\b"}),
    )


def multi_turn(draw: Draw) -> Generated:
    """Something the user said in an earlier turn."""
    name, city = draw.pick(_NAMES), draw.pick(_CITIES)
    turns = [
        Message("user", f"My name is {name} and I live in {city}."),
        Message("assistant", f"Nice to meet you, {name}!"),
    ]
    for _ in range(draw.integer(0, 2)):
        number = draw.integer(1, 9)
        turns += [
            Message("user", f"What is {number} + 1?"),
            Message("assistant", f"{number} + 1 is {number + 1}."),
        ]
    asks_name = draw.integer(0, 1)
    answer = name if asks_name else city
    said = "\n".join(f"{turn.role.capitalize()}: {turn.content}" for turn in turns)
    question = "What is my name?" if asks_name else "In which city do I live?"
    begun = "Your name is" if asks_name else "You live in"
    return Generated(
        question,
        f"{said}\nUser: {question}\nAssistant: {begun}",
        OracleSpec("contains", {"any": [answer]}),
        tuple(turns),
    )


def _some(draw: Draw, options: Sequence[str], count: int) -> list[str]:
    left = list(options)
    return [left.pop(draw.integer(0, len(left) - 1)) for _ in range(count)]


@cache
def _sentences() -> tuple[str, ...]:
    """Return the sentences of the text that fidelity is measured on, as filler."""
    text = resources.files("pytest_aprqa.playbook").joinpath("fidelity.txt").read_text("utf-8")
    prose = [line for line in text.splitlines() if line.endswith(".") and len(line) > 100]
    return tuple(f"{part}." for line in prose for part in line.rstrip(".").split(". "))


def family_of(name: str) -> Family:
    """Return a family by its name in `FAMILIES`, or "kernel-" and its name in `KERNELS`."""
    return FAMILIES[name] if name in FAMILIES else KERNELS[name.removeprefix("kernel-")]


FAMILIES: dict[str, Family] = {
    "arithmetic": arithmetic,
    "code": partial(_of_catalogue, "code"),
    "fact": partial(_of_catalogue, "fact"),
    "instruction": partial(_of_catalogue, "instruction"),
    "unicode": partial(_of_catalogue, "unicode"),
    "edge": edge,
    "long-context": long_context,
    "multi-turn": multi_turn,
}
"""Families for any model."""

KERNELS: dict[str, Family] = {
    "gqa": recall,
    "mqa": recall,
    "mha": recall,
    "rope": position,
    "bias": comparison,
    "tied-embeddings": copy,
    "swiglu": long_sum,
}
"""Part of an architecture -> questions that lean on it.

What a kernel computes is compared by value elsewhere (I-1); these show what a fault of it does to
answers. Keys and values shared by heads: one value among many. Rotary positions: order. Biases:
small offsets. A head tied to the embedding: words that come out as they went in. The gated
feed-forward: sums of several terms.
"""
