"""Models that were never trained: files of the size and make of real ones, to read and convert."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from pytest_aprqa.artifact.config_hf import config_from_hf
from pytest_aprqa.artifact.dtypes import from_float32, nbytes
from pytest_aprqa.artifact.names import required_tensors
from pytest_aprqa.artifact.safetensors_write import write_safetensors
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.artifact.tensor_source import TensorSource

VOCABULARY = 32_000
HIDDEN = 2048
SHAPE: dict[str, Any] = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN,
    "intermediate_size": 5632,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "dtype": "bfloat16",
}


def layers_of(size: float) -> int:
    """Return how many layers a model of about this many bytes has, at least two."""
    embeddings = 2 * VOCABULARY * HIDDEN * 2
    layer = (HIDDEN * HIDDEN * 3 + 3 * HIDDEN * SHAPE["intermediate_size"]) * 2
    return max(2, int((size - embeddings) / layer))


def make_model(
    directory: Path, layers: int, tensors: Callable[..., Iterable[TensorSource]]
) -> None:
    directory.mkdir(parents=True)
    config = {**SHAPE, "num_hidden_layers": layers}
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer()))
    (directory / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "bos_token": "<s>",
                "eos_token": "</s>",
                "unk_token": "<unk>",
            }
        )
    )
    write_safetensors(directory / "model.safetensors", list(tensors(config)))


def tokenizer() -> dict[str, Any]:
    """A byte-level BPE of the size real models have: all bytes, and pairs of them."""
    from tokenizers.pre_tokenizers import ByteLevel

    letters = sorted(ByteLevel.alphabet())
    specials = ["<unk>", "<s>", "</s>"]
    merges = [[a, b] for a in letters for b in letters][: VOCABULARY - len(letters) - len(specials)]
    vocabulary = [*specials, *letters, *("".join(pair) for pair in merges)]
    level = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": True,
    }
    return {
        "version": "1.0",
        "added_tokens": [
            {
                "id": n,
                "content": t,
                "special": True,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
            }
            for n, t in enumerate(specials)
        ],
        "pre_tokenizer": level,
        "decoder": level,
        "model": {
            "type": "BPE",
            "vocab": {token: n for n, token in enumerate(dict.fromkeys(vocabulary))},
            "merges": merges,
        },
    }


def random_tensors(config: dict[str, Any]) -> Iterable[TensorSource]:
    """Weights as training leaves them; every tensor begins elsewhere in one long noise."""
    noise = np.random.default_rng(0).standard_normal(1 << 24, np.float32) * np.float32(0.02)
    noise = np.concatenate([noise, noise]).astype(np.float32)
    for number, slot in enumerate(required_tensors(config_from_hf(config))):
        yield TensorSource(slot.hf, DType.BF16, slot.shape, noise_from(noise, number, slot.shape))


def noise_from(noise: Any, number: int, shape: tuple[int, ...]) -> Callable[[], Any]:
    def data() -> Any:
        begin = number * 104_729 % (len(noise) // 2)
        count = int(np.prod(shape))
        return from_float32(np.resize(noise[begin : begin + len(noise) // 2], count), DType.BF16)

    return data


def lay_out(path: Path, config: dict[str, Any]) -> None:
    """Write the header of a SafeTensors file and leave its data a hole."""
    header, position = {}, 0
    for slot in required_tensors(config_from_hf(config)):
        end = position + nbytes(DType.BF16, slot.shape)
        header[slot.hf] = {"dtype": "BF16", "shape": slot.shape, "data_offsets": [position, end]}
        position = end
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    os.truncate(path, 8 + len(text) + position)
