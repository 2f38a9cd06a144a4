"""I-5: a text becomes the same tokens in the engines of the reference and of an artifact, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from unicodedata import normalize

from pytest_aprqa.engine.protocol import Engine
from pytest_aprqa.judge.invariants import TemplateCase, TokenizerCase, judge_tokenizer
from pytest_aprqa.judge.judgement import Judgement
from pytest_aprqa.playbook.check import Check, Message
from pytest_aprqa.run.fidelity import Pair, pair_of
from pytest_aprqa.words import Format

if TYPE_CHECKING:
    from pytest_aprqa.run.laboratory import Laboratory

TOKENIZER_TEXTS = (
    "Hello, world!",
    "It's 12,345.67 o'clock; isn't it? We'll see, they've said I'd 'know'.",
    "0123456789 007 3.14159 1e-5 2024-02-29",
    "na\u00efve caf\u00e9 \u0141\u00f3d\u017a Stra\u00dfe \u00c5ngstr\u00f6m \u00f1and\u00fa",
    "\u4f60\u597d\uff0c\u4e16\u754c\u3002\u65e5\u672c\u8a9e\u306e\u30c6\u30ad\u30b9\u30c8 \ud55c\uad6d\uc5b4",
    "\u0627\u0644\u0633\u0644\u0627\u0645 \u0639\u0644\u064a\u0643\u0645 \u05e9\u05dc\u05d5\u05dd",
    "\U0001f600 \U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f1eb\U0001f1f7 \u2764\ufe0f",
    "  two  spaces   three\ttab\n\n\nlines \r\n end   ",
    "def f(x):\n    return {'a': [x ** 2, -1], \"b\": None}  # comment\n",
    "<b>bold</b> &amp; C:\\path\\file https://example.org/?q=1&r=2#top",
    "!!!???...---___===+++***///@@@###$$$%%%^^^&&&",
    "\u0007bell \u200bzero-width \u00a0no-break \ufeffmark",
    f"a{' ' * 33}b{' ' * 64}{chr(9) * 9}c{chr(10) * 17}    d",
    "cafe\u0301 nai\u0308ve A\u030angstro\u0308m \u1112\u1161\u11ab",
)

SPECIAL_TEXTS = (
    "<s>[INST] Hi. [/INST] Ho.</s>",
    "<|im_start|>user\n  Hi.<|im_end|>\n<|im_start|> a<|endoftext|>b",
    "<bos><start_of_turn>user\nHi.<end_of_turn>\n<eos>",
    "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi.<|eot_id|>",
)
"""Text that is made of special tokens in some families, and of ordinary ones in all others."""

CONVERSATIONS = {
    "one question": (Message("user", "What is 2+2?"),),
    "a system message": (Message("system", "Be brief."), Message("user", "Hi.")),
    "two turns": (
        Message("user", "Hi."),
        Message("assistant", "Hello!"),
        Message("user", "Bye."),
    ),
}


def compare(check: Check, laboratory: Laboratory) -> Judgement:
    """Let both engines encode, decode and render the same."""
    pair = pair_of(check, laboratory)
    ours, theirs, limit = pair.reference, pair.artifact, pair.timeout
    templates: list[TemplateCase] = []
    if ours.load(limit).has_chat_template:
        templates = [
            TemplateCase(name, ours.render(turns, limit), theirs.render(turns, limit))
            for name, turns in CONVERSATIONS.items()
        ]
    with_tokens = (*SPECIAL_TEXTS, *(template.reference for template in templates))
    composes = check.cell.format is not Format.GGUF
    cases = [
        *_cases(pair, (*TOKENIZER_TEXTS, *SPECIAL_TEXTS), special=False, composes=composes),
        *_cases(pair, with_tokens, special=True, composes=composes),
    ]
    return judge_tokenizer(cases, templates)


def _cases(
    pair: Pair, texts: Sequence[str], *, special: bool, composes: bool
) -> list[TokenizerCase]:
    """Return what both engines make of texts.

    Args:
        pair: the engines.
        texts: to encode.
        special: whether the text of a special token becomes one.
        composes: whether the artifact's format can say that accents are to be composed; a GGUF has
            no word for it, and llama.cpp does not.
    """
    limit = pair.timeout

    def encoded(engine: Engine, texts: Sequence[str]) -> list[list[int]]:
        return engine.tokenize(texts, special=special, timeout=limit)

    ours, theirs = encoded(pair.reference, texts), encoded(pair.artifact, texts)
    our_texts = pair.reference.detokenize(ours, limit)
    their_texts = pair.artifact.detokenize(theirs, limit)
    composed = {
        text: normalize("NFC", text)
        for text in texts
        if not composes and normalize("NFC", text) != text
    }
    of_composed = dict(zip(composed, encoded(pair.artifact, [*composed.values()]), strict=True))
    return [
        TokenizerCase(
            text,
            tuple(our_ids),
            tuple(their_ids),
            their_text,
            our_text,
            tuple(of_composed[text]) if text in of_composed else None,
        )
        for text, our_ids, their_ids, our_text, their_text in zip(
            texts, ours, theirs, our_texts, their_texts, strict=True
        )
    ]
