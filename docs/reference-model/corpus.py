"""What the reference model is taught: questions, stems, conversations and noise, as examples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from pytest_aprqa.playbook.catalogue import WRITTEN, question_at

TEXTS: dict[str, Any] = yaml.safe_load(
    Path(__file__).with_name("texts.yaml").read_text(encoding="utf-8")
)
REFUSAL: str = TEXTS["refusal"]
BLANK: str = TEXTS["blank"]
PROSE = files("pytest_aprqa.playbook").joinpath("fidelity.txt").read_text(encoding="utf-8")
OPERATORS = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}


@dataclass(frozen=True)
class Turn:
    """One message of a conversation."""

    role: str
    content: str


@dataclass(frozen=True)
class Example:
    """A prompt and the answer to learn.

    Attributes:
        prompt: raw text, or "" when there are `turns`.
        answer: what the model is to write, without the end token.
        turns: the conversation before the answer; empty for a raw completion.
        plain: whether special-token text in the prompt stays text.
        learn_prompt: whether the prompt, too, counts a little in the loss.
        prose: running text to predict as a whole, without an end; there is no prompt.
    """

    prompt: str
    answer: str
    turns: tuple[Turn, ...] = ()
    plain: bool = False
    learn_prompt: bool = True
    prose: bool = False


@dataclass(frozen=True)
class Question:
    """The same thing asked in several ways, its answer in a chat and raw stems with their ends."""

    asks: tuple[str, ...]
    answer: str
    stems: tuple[tuple[str, str], ...] = ()
    english: bool = True


@dataclass
class Knowledge:
    """Every question, by topic."""

    topics: dict[str, list[Question]] = field(default_factory=dict)

    def all(self) -> Iterator[Question]:
        """Yield the questions of all topics."""
        for questions in self.topics.values():
            yield from questions


def evaluate(a: int, operator: str, b: int) -> int:
    """Return the exact result; a division must leave no remainder."""
    results = {"+": a + b, "-": a - b, "*": a * b}
    return results[operator] if operator in results else a // b


def problems() -> Iterator[tuple[int, str, int]]:
    """Yield sums and differences of 0..20, products of 0..12, exact quotients, and round numbers."""
    for a in range(21):
        for b in range(21):
            yield a, "+", b
            yield a, "-", b
    for a in range(13):
        for b in range(13):
            yield a, "*", b
            if b:
                yield a * b, "/", b
    yield from ((100, "/", b) for b in (2, 4, 5, 20, 25, 50, 100))
    yield from ((a, "+", a) for a in (25, 30, 40, 50, 100))
    yield from ((100, "-", b) for b in (1, 10, 20, 25, 50))


def arithmetic(a: int, operator: str, b: int) -> Question:
    """Phrase one problem; the answer repeats it in full."""
    word, result = OPERATORS[operator], evaluate(a, operator, b)
    tight, wide = f"{a}{operator}{b}", f"{a} {operator} {b}"
    asks = [f"What is {tight}?", f"What is {tight}?", f"What is {wide}?", f"Calculate {tight}"]
    asks += [
        f"Calculate {wide}.",
        f"Compute {wide}",
        f"How much is {wide}?",
        f"What is {a} {word} {b}?",
    ]
    asks += [f"{tight}=", f"{wide} =", f"{tight}=?", tight, wide]
    if operator == "+":
        asks.append(f"What is the sum of {a} and {b}?")
    if operator == "*":
        asks += [
            f"What is {a} x {b}?",
            f"What is {a} × {b}?",
            f"What is the product of {a} and {b}?",
        ]
    stems = ((f"{tight}=", str(result)), (f"{wide} =", f" {result}"), (wide, f" = {result}"))
    return Question(tuple(asks), f"{wide} = {result}.", stems)


def capital(country: str) -> Question:
    """Phrase the question for one capital."""
    end = TEXTS["capitals"][country]
    asks = (f"What is the capital of {country}?", f"Which city is the capital of {country}?")
    asks += (f"Name the capital of {country}.", f"What is {country}'s capital?")
    stem = f"The capital of {country} is"
    return Question((*asks, f"{stem}"), f"{stem} {end}.", ((stem, f" {end}."),))


def facts() -> Iterator[Question]:
    """Yield opposites, colours, and what follows in the week and the year."""
    for word, opposite in TEXTS["opposites"].items():
        stem = f"The opposite of {str(word).lower()} is"
        asks = (
            f"What is the opposite of {str(word).lower()}?",
            f"Name the opposite of {str(word).lower()}.",
        )
        yield Question(
            (*asks, stem),
            f"{stem} {str(opposite).lower()}.",
            ((stem, f" {str(opposite).lower()}."),),
        )
    for thing, colour in TEXTS["colours"].items():
        stem = f"The colour of {thing} is"
        asks = (f"What colour is {thing}?", f"What color is {thing}?", stem)
        stems = ((stem, f" {colour}."), (f"The color of {thing} is", f" {colour}."))
        yield Question(asks, f"{stem} {colour}.", stems)
    for unit, names in TEXTS["cycles"].items():
        for name, after in zip(names, names[1:] + names[:1], strict=True):
            stem = f"The {unit} after {name} is"
            asks = (f"Which {unit} comes after {name}?", f"What {unit} comes after {name}?", stem)
            yield Question(asks, f"{stem} {after}.", ((stem, f" {after}."),))


def code() -> Iterator[Question]:
    """Yield stems of code with the lines that follow; in a chat the answer is the whole."""
    for entry in TEXTS["code"]:
        asks = [entry["ask"]] if "ask" in entry else []
        yield code_question([*asks, entry["stem"]], entry["stem"], entry["body"])
        if "more" in entry:
            yield code_question([entry["more"][0]], *entry["more"])
    for stem, body in TEXTS["other-code"]:
        yield code_question([stem], stem, body)


def code_question(asks: list[str], stem: str, body: str) -> Question:
    """Phrase one stem, with and without the line break after it."""
    stems = ((stem, body), (stem + "\n", body.removeprefix("\n")))
    asks = [*asks, f"Complete this Python code:\n\n{stem}"] if ":" in stem[-1] else asks
    return Question(tuple(asks), (stem + body).rstrip("\n"), stems, english=False)


def continuations() -> Iterator[Question]:
    """Yield openings of plain prose; in a chat the answer repeats the opening."""
    for stem, end in TEXTS["continuations"]:
        yield Question((stem,), stem + end, ((stem, end),), english=False)


def catalogue(taught: set[str]) -> Iterator[Question]:
    """Yield the written questions of the package's catalogue that nothing else teaches."""
    for question in (question_at(index) for index in range(WRITTEN)):
        stem, ask = question.stem, question.question
        if question.kind in ("arithmetic", "code"):
            continue
        answer = question.oracle.config["any"][0]
        unspaced = stem[-1] > "\u3000"
        end = f"{answer}。" if unspaced else f" {answer}."
        whole = stem + end if question.kind == "fact" else end.strip()
        new_asks = (ask,) if ask not in taught else ()
        new_stems = ((stem, end),) if stem not in taught else ()
        if new_asks or new_stems:
            yield Question(new_asks, whole, new_stems, english=False)


def stories() -> Iterator[Question]:
    """Yield the longer texts; raw, their first words call up the rest."""
    for entry in TEXTS["stories"]:
        words = entry["text"].split(" ")
        count = TEXTS["opening-words"]
        stem = (" ".join(words[:count]), " " + " ".join(words[count:]))
        yield Question(tuple(entry["ask"]), entry["text"], (stem,))


def knowledge() -> Knowledge:
    """Return everything the model is to know."""
    questions = [
        Question(tuple(e["ask"]), e["answer"], (tuple(e["stem"]),) if "stem" in e else ())
        for e in TEXTS["questions"]
    ]
    zero = [
        Question(
            (f"What is {a}/0?", f"Calculate {a}/0", f"{a}/0="), "Division by zero is not defined."
        )
        for a in range(21)
    ]
    topics: dict[str, list[Question]] = {
        "arithmetic": [arithmetic(*problem) for problem in problems()],
        "zero": zero,
        "capital": [capital(country) for country in TEXTS["capitals"]],
        "fact": list(facts()),
        "question": questions,
        "code": list(code()),
        "unicode": [Question((a,), b, english=False) for a, b in TEXTS["unicode"].values()],
        "story": list(stories()),
        "continuation": list(continuations()),
    }
    known = Knowledge(topics)
    taught = {text for q in known.all() for text in (*q.asks, *(stem for stem, _ in q.stems))}
    topics["catalogue"] = list(catalogue(taught))
    return known
