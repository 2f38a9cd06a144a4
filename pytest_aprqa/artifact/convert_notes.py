"""What a conversion could not carry over, in words that a reader of its record understands."""

from __future__ import annotations

from pytest_aprqa.artifact.config_gguf import context_in_gguf
from pytest_aprqa.artifact.contents import ModelContents
from pytest_aprqa.words import Format


def conversion_notes(contents: ModelContents, target: Format) -> list[str]:
    """Return what a file of this format does not say of a model though it is converted soundly."""
    lost = [] if contents.vocabulary is None else [*contents.vocabulary.unsaid]
    stated, context = contents.config.max_position_embeddings, context_in_gguf(contents.config)
    if target is not Format.GGUF or context == stated:
        return lost
    note = (
        f"context_length is {context}, the sliding window, not {stated}: beyond it llama.cpp, "
        "which applies no window to this architecture, computes something else"
    )
    return [note, *lost]
