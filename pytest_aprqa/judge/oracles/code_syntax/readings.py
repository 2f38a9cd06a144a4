"""What the code of an answer can be: in fences, or between words."""

from __future__ import annotations

import re

from pytest_aprqa.judge.oracles.code_syntax.languages import STEMS, usual_name
from pytest_aprqa.judge.oracles.code_syntax.syntax import Source
from pytest_aprqa.judge.oracles.fences import Block

_SENTENCE = re.compile(r"(?:[-*•] |\d+[.)] )?[A-Z`*\"'][^=;{}\n]*[.:!?]\*{0,2}\s*")
_FEWEST_WORDS = 3  # of a line that is a sentence; "Foo:" and "X." may be code


def fenced(blocks: list[Block], language: str, cut_off: bool) -> list[Source]:
    """Return the blocks in a language; of blocks without one, those that look like it.

    A block without a language, and one of a dialogue with the interpreter, may show output.
    """
    labelled = [b for b in blocks if usual_name(b.language) == language]
    plain = [b for b in blocks if not b.language]
    stem = STEMS.get(language)
    code = labelled or [b for b in plain if stem and stem.search(b.body)] or plain[:1]
    code = [b for b in code if not b.body.lstrip().startswith(">>>")] or code
    return [Source(language, "", block.body, cut_off and not block.closed) for block in code]


def unfenced(language: str, prompt: str, answer: str, cut_off: bool) -> list[Source]:
    """Return the readings of an answer without fences.

    It goes on where the prompt's code ends, or stands there whole, or begins after some words about
    it; paragraphs of words may stand around each.
    """
    stem = STEMS.get(language)
    begun = stem.search(prompt) if stem else None
    told = stem.search(answer) if stem else None
    starts = [(prompt[begun.start() :].lstrip("\n") if begun else "", answer), ("", answer)]
    if told and answer[: told.start()].strip():
        starts.append(("", answer[told.start() :].lstrip("\n")))
    readings = [Source(language, head, text, cut_off) for head, text in dict.fromkeys(starts)]
    return readings + [
        Source(language, reading.stem, code, cut_off)
        for reading in readings
        if (code := _without_words(reading.completion, stem))
    ]


def _without_words(text: str, stem: re.Pattern[str] | None) -> str:
    """Return a text without its paragraphs of words; "" when nothing else or all is left."""
    paragraphs = re.split(r"\n\s*\n(?=\S)", text)
    code = [part for part in paragraphs if not _is_words(part, stem)]
    return "\n\n".join(code) if len(code) < len(paragraphs) else ""


def _is_words(paragraph: str, stem: re.Pattern[str] | None) -> bool:
    first = paragraph.strip().partition("\n")[0]
    return (
        len(first.split()) >= _FEWEST_WORDS
        and _SENTENCE.fullmatch(first) is not None
        and not (stem and stem.search(paragraph))
    )
