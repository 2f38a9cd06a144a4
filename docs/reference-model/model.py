"""The untrained model, and lessons as its tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from encoding import Encoder, Lesson

if TYPE_CHECKING:
    import torch
    from transformers import LlamaForCausalLM

CONTEXT = 512


def build_model(encoder: Encoder) -> LlamaForCausalLM:
    """Return the untrained model: 2 million parameters, widths a multiple of 256 for K-quants."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=encoder.tokenizer.get_vocab_size(),
            hidden_size=256,
            intermediate_size=512,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=64,
            max_position_embeddings=CONTEXT,
            rope_theta=10000.0,
            rms_norm_eps=1e-5,
            tie_word_embeddings=True,
            bos_token_id=encoder.end_of_text,
            eos_token_id=[encoder.end, encoder.end_of_text],
            pad_token_id=encoder.end_of_text,
        )
    )


def tensors(batch: Sequence[Lesson], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ids and loss weights, padded on the right and below to (rows, tokens).

    Both are rounded up, because a kernel is prepared anew for each shape it has not met.
    """
    import torch

    longest = max(len(lesson.ids) for lesson in batch)
    rows = len(batch) if len(batch) < 8 else -(-len(batch) // 4) * 4
    shape = (rows, min(CONTEXT, -(-longest // 8) * 8 + 1))
    ids, weights = torch.full(shape, pad), torch.zeros(shape)
    for row, lesson in enumerate(batch):
        ids[row, : len(lesson.ids)] = torch.tensor(lesson.ids)
        weights[row, : len(lesson.ids)] = torch.tensor(lesson.weights)
    return ids, weights


def round_to_bfloat16(model: LlamaForCausalLM) -> None:
    """Give every parameter a value that bfloat16 can hold."""
    import torch

    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.bfloat16().float())
