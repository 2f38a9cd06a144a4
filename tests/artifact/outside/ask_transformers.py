"""Load models with transformers and print what it misses, and what they say.

Usage: ask_transformers.py SEQUENCE DIRECTORY..., the sequence as JSON.
"""

from __future__ import annotations

import json
import sys

import torch
import transformers as tf

MESSAGES = [{"role": "user", "content": "Hi"}]


def ask(directory: str, sequence: list[int]) -> dict[str, object]:
    model, loaded = tf.AutoModelForCausalLM.from_pretrained(
        directory, dtype="auto", output_loading_info=True, local_files_only=True
    )
    tokenizer = tf.AutoTokenizer.from_pretrained(directory, local_files_only=True)
    dtype = str(model.dtype)
    with torch.no_grad():
        logits = model.float()(torch.tensor([sequence])).logits[0]
    return {
        "missing": sorted(loaded["missing_keys"]),
        "unexpected": sorted(loaded["unexpected_keys"]),
        "mismatched": sorted(map(str, loaded["mismatched_keys"])),
        "logprobs": torch.log_softmax(logits, -1).tolist(),
        "chat": tokenizer.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=True),
        "eos": tokenizer.eos_token,
        "dtype": dtype,
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    given = json.loads(sys.argv[1])
    print(json.dumps({path: ask(path, given) for path in sys.argv[2:]}))  # noqa: T201
