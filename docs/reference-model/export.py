"""The model as the files of a Hugging Face repository, with its exam and digests."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpus import Knowledge
from encoding import END, END_OF_TEXT, START, TEMPLATE
from exam import tasks
from model import CONTEXT

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import LlamaForCausalLM


def save(model: LlamaForCausalLM, tokenizer: Tokenizer, known: Knowledge, out: Path) -> None:
    """Write weights as bfloat16, configuration, tokenizer, template and exam."""
    import torch
    from transformers import GenerationConfig, PreTrainedTokenizerFast

    # A copy, because rounding would reach the rotary frequencies too, which no file holds.
    model = copy.deepcopy(model).to(torch.bfloat16)
    ids = [tokenizer.token_to_id(token) for token in (END, END_OF_TEXT)]
    model.generation_config = GenerationConfig(
        do_sample=False, bos_token_id=ids[1], eos_token_id=ids, pad_token_id=ids[1]
    )
    model.save_pretrained(out)
    tokenizer.encode_special_tokens = False
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END,
        pad_token=END_OF_TEXT,
        additional_special_tokens=[START],
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = TEMPLATE
    fast.save_pretrained(out)
    # The class every version of transformers knows.
    config = json.loads((out / "tokenizer_config.json").read_text(encoding="utf-8"))
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    write_json(out / "tokenizer_config.json", config)
    exam = [dataclasses.asdict(task) for task in tasks(known)]
    write_json(out / "prompts.json", exam)


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON with a line for each of its parts."""
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def write_digests(out: Path) -> None:
    """Write SHA256SUMS of every file beside it."""
    files = sorted(p for p in out.iterdir() if p.is_file() and p.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n" for p in files]
    (out / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")
