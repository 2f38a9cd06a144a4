"""Draw training examples at random from the corpus."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from corpus import BLANK, PROSE, REFUSAL, TEXTS, Example, Knowledge, Question, Turn
from noise import long_text, noise, words

# Share of each topic; arithmetic has the most to remember, stories are long.
SHARES = {
    "arithmetic": 0.40,
    "zero": 0.005,
    "capital": 0.045,
    "fact": 0.05,
    "question": 0.06,
    "code": 0.075,
    "unicode": 0.045,
    "story": 0.013,
    "continuation": 0.02,
    "catalogue": 0.14,
    "dialogue": 0.03,
    "noise": 0.095,
    "blank": 0.01,
    "prose": 0.01,
}
# In the revision: the share of earlier mistakes and long prompts, and that of long prompts in it.
REPETITION, LONG_SHARE = 0.3, 0.2
BLANKS = ["", " \n\t \n ", " ", "  ", "\n", "\t", "\n\n", " \n ", "     "]


@dataclass
class Teacher:
    """Draws examples; the same seed draws the same ones."""

    knowledge: Knowledge
    rng: random.Random
    mistakes: Sequence[Example] = ()

    def draw(self) -> Example:
        """Return one example; when there are mistakes, often one of them or a long prompt."""
        if self.mistakes and self.rng.random() < REPETITION:
            if self.rng.random() < LONG_SHARE:
                return self.ask(long_text(self.rng), REFUSAL)
            return self.rng.choice(self.mistakes)
        return self.lesson()

    def lesson(self) -> Example:
        """Return one example of a random topic in a random form."""
        topic = self.rng.choices(list(SHARES), list(SHARES.values()))[0]
        if topic == "dialogue":
            return self.dialogue()
        if topic == "noise":
            return self.ask(noise(self.rng), REFUSAL)
        if topic == "prose":
            start = self.rng.randrange(len(PROSE) - 200)
            return Example("", PROSE[start : start + self.rng.randint(150, 400)], prose=True)
        if topic == "blank":
            return self.ask(self.rng.choice(BLANKS), BLANK)
        question = self.rng.choice(self.knowledge.topics[topic])
        stem_share = 0.65 if topic == "arithmetic" else 0.3
        if question.stems and (not question.asks or self.rng.random() < stem_share):
            return Example(*self.rng.choice(question.stems))
        return self.ask(self.vary(question), question.answer, question)

    def vary(self, question: Question) -> str:
        """Choose a phrasing; now and then drop the last mark or the capital letter."""
        ask = self.rng.choice(question.asks)
        if question.english and self.rng.random() < 0.15:
            ask = ask.rstrip(".?!")
        if question.english and self.rng.random() < 0.1:
            ask = ask[:1].lower() + ask[1:]
        return ask

    def ask(self, text: str, answer: str, question: Question | None = None) -> Example:
        """Put the text as a chat, or raw, where the answer starts on a line of its own."""
        plain = self.rng.random() < 0.5
        # What repeats itself would teach to go on repeating, not to refuse.
        sensible = answer != REFUSAL
        is_stem = question is not None and any(text == stem for stem, _ in question.stems)
        if self.rng.random() < 0.35 and not is_stem:
            return Example(text, "\n" + answer, plain=plain, learn_prompt=sensible)
        return Example("", answer, (*self.system(), Turn("user", text)), plain, sensible)

    def system(self) -> tuple[Turn, ...]:
        """Return a system message in a quarter of the cases, sometimes a meaningless one."""
        if self.rng.random() > 0.25:
            return ()
        if self.rng.random() < 0.2:
            return (Turn("system", words(self.rng, self.rng.randint(1, 20))),)
        return (Turn("system", self.rng.choice(TEXTS["systems"])),)

    def pair(self, *, known: bool = False) -> tuple[Turn, Turn]:
        """Return a short question and its answer as two turns; `known` leaves refusals out."""
        topic = self.rng.choice(["arithmetic", "capital", "fact", "question", "unicode", "noise"])
        topic = "question" if known else topic
        if topic == "noise":
            text = " ".join(noise(self.rng).split(" ")[:12])
            return Turn("user", text), Turn("assistant", REFUSAL)
        question = self.rng.choice(self.knowledge.topics[topic])
        return Turn("user", self.vary(question)), Turn("assistant", question.answer)

    def dialogue(self) -> Example:
        """Return a conversation of several turns; some answers need an earlier turn."""
        before = list(self.pair()) if self.rng.random() < 0.25 else []
        kind = self.rng.choice(["independent", "name", "name", "sum", "capital"])
        if kind == "independent":
            before += self.pair()
            user, reply = self.pair()
            return Example("", reply.content, (*self.system(), *before, user), plain=True)
        opening = {"name": self.name, "sum": self.running_sum, "capital": self.next_capital}[kind]
        *turns, reply = opening()
        return Example("", reply.content, (*self.system(), *before, *turns), plain=True)

    def name(self) -> list[Turn]:
        """Return an introduction, perhaps something between, and the question for the name."""
        name = self.rng.choice(TEXTS["names"])
        ask = self.rng.choice(["What is my name?", "What is my name?", "Who am I?"])
        intro = self.rng.choice([f"My name is {name}.", f"I am {name}.", f"My name is {name}"])
        turns = [Turn("user", intro), Turn("assistant", f"Nice to meet you, {name}.")]
        if self.rng.random() < 0.4:
            turns += self.pair(known=True)
        return [*turns, Turn("user", ask), Turn("assistant", f"Your name is {name}.")]

    def running_sum(self) -> list[Turn]:
        """Return a sum and a request to add to its result or take from it."""
        a, b = self.rng.randint(0, 10), self.rng.randint(0, 10)
        c, plus = self.rng.randint(0, 10), self.rng.random() < 0.5
        total = a + b
        request = f"Add {c}." if plus else f"Subtract {c}."
        reply = f"{total} + {c} = {total + c}." if plus else f"{total} - {c} = {total - c}."
        ask = self.rng.choice([f"What is {a}+{b}?", f"What is {a} + {b}?", f"Calculate {a}+{b}"])
        first = [Turn("user", ask), Turn("assistant", f"{a} + {b} = {total}.")]
        return [*first, Turn("user", request), Turn("assistant", reply)]

    def next_capital(self) -> list[Turn]:
        """Return the question for a capital and the same for another country, cut short."""
        one, two = self.rng.sample(list(TEXTS["capitals"]), 2)
        cities = TEXTS["capitals"]
        return [
            Turn("user", f"What is the capital of {one}?"),
            Turn("assistant", f"The capital of {one} is {cities[one]}."),
            Turn("user", self.rng.choice([f"And of {two}?", f"And the capital of {two}?"])),
            Turn("assistant", f"The capital of {two} is {cities[two]}."),
        ]
