"""Print what the reference engine makes of texts, by a model directory.

Usage: ask_tokenizer.py TEXTS DIRECTORY, the texts as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pytest_aprqa.engine.transformers_load import load_tokenizer

if __name__ == "__main__":
    tokenizer = load_tokenizer(Path(sys.argv[2]))
    ids = [tokenizer.encode(text, add_special_tokens=False) for text in json.loads(sys.argv[1])]
    texts = [tokenizer.decode(some) for some in ids]
    print(json.dumps({"ids": ids, "texts": texts}))  # noqa: T201
