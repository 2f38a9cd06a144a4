"""What the model answers rightly, exact and quantised."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from corpus import Example, Knowledge, Question, Turn
from encoding import Encoder
from model import CONTEXT, tensors
from quantise import Grid, on_grid

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM

log = logging.getLogger(__name__)


def right(model: LlamaForCausalLM, encoder: Encoder, examples: Sequence[Example]) -> list[bool]:
    """Tell for each example whether greedy decoding writes exactly the answer and its end.

    Teacher-forced: greedy decoding gives the answer if and only if each of its tokens is the
    most likely one after those before it.
    """
    import torch

    results = []
    for first in range(0, len(examples), 64):
        part = examples[first : first + 64]
        lessons = [encoder.lesson(example, CONTEXT) for example in part]
        ids, _ = tensors(lessons, encoder.end_of_text)
        with torch.no_grad():
            best = model(input_ids=ids, use_cache=False).logits.argmax(-1)
        for row, lesson, example in zip(range(len(part)), lessons, part, strict=True):
            end = len(lesson.ids)
            start = end - len(encoder.answer(example))
            results.append(bool((best[row, start - 1 : end - 1] == ids[row, start:end]).all()))
    return results


def survey(known: Knowledge) -> dict[str, list[Example]]:
    """Return, by topic, every phrasing of every question as a chat and raw, and every stem.

    Of the many phrasings of arithmetic only two are asked raw.
    """
    return {
        topic: [
            example
            for question in questions
            for example in every_form(
                question, question.asks[1:3] if topic == "arithmetic" else None
            )
        ]
        for topic, questions in known.topics.items()
    }


def every_form(question: Question, raw: Sequence[str] | None) -> Iterator[Example]:
    """Yield a question in all its forms; `raw` are the phrasings to ask raw, None for all."""
    stems = {stem for stem, _ in question.stems}
    for ask in question.asks:
        yield Example("", question.answer, (Turn("user", ask),))
    for ask in question.asks if raw is None else raw:
        if ask not in stems:
            yield Example(ask, "\n" + question.answer)
    for stem in question.stems:
        yield Example(*stem)


def mistakes(
    model: LlamaForCausalLM, encoder: Encoder, examples: Sequence[Example]
) -> list[Example]:
    """Return what the model gets wrong exactly or as Q4_0."""
    with on_grid(model, Grid.Q4_0):
        quantised = right(model, encoder, examples)
    marks = zip(examples, quantised, right(model, encoder, examples), strict=True)
    return [example for example, *both in marks if not all(both)]


def report(model: LlamaForCausalLM, encoder: Encoder, known: Knowledge) -> dict[str, Any]:
    """Measure the share of right answers by topic, exact and quantised, and log the misses."""
    import torch

    model.eval()
    shares: dict[str, Any] = {}
    settings: list[tuple[str, Any]] = [
        ("f32", contextlib.nullcontext()),
        *((grid.value, on_grid(model, grid)) for grid in Grid),
        ("bf16", torch.autocast("cpu", torch.bfloat16)),
    ]
    for name, setting in settings:
        with setting:
            shares[name] = {}
            for topic, examples in survey(known).items():
                marks = right(model, encoder, examples)
                shares[name][topic] = f"{sum(marks)}/{len(marks)}"
                for example, mark in zip(examples, marks, strict=True):
                    if not mark and name in ("f32", "bf16"):
                        log.info("missed in %s: %s", name, example)
        log.info("%s %s", name, shares[name])
    return shares
