"""Make tests/artifact/sentencepiece/ with SentencePiece itself: a model, and what it says of texts.

Usage: make_sentencepiece.py DIRECTORY; `pip install sentencepiece` first.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import sentencepiece

TEXTS = (
    "Hello, world!",
    "It's 12,345.67 o'clock; isn't it? We'll see, they've said I'd 'know'.",
    "0123456789 007 3.14159 1e-5 2024-02-29",
    "naïve café Łódź Straße Ångström ñandú",
    "你好，世界。日本語のテキスト 한국어",
    "😀 👩‍👩‍👧 🇫🇷 ❤️",
    "  two  spaces   three\ttab\n\n\nlines \r\n end   ",
    "def f(x):\n    return {'a': [x ** 2, -1], \"b\": None}  # comment\n",
    "!!!???...---___===+++***///@@@###$$$%%%^^^&&&",
    "\u0007bell \u200bzero-width \u00a0no-break \ufeffmark",
    " ",
)
SETTINGS = {
    "vocab_size": 390,
    "byte_fallback": True,
    "split_digits": True,
    "character_coverage": 0.98,
    "control_symbols": ["<|im_start|>", "<|im_end|>"],
    "user_defined_symbols": ["<tool>"],
    "num_threads": 1,
    "minloglevel": 2,
}
AS_LLAMA = {
    "model_type": "bpe",
    "normalization_rule_name": "identity",
    "remove_extra_whitespaces": False,
}


def main(directory: Path) -> None:
    text = Path(__file__).read_text("utf-8").splitlines() * 2
    kinds = {
        "bpe": AS_LLAMA,
        "no-prefix": {**AS_LLAMA, "add_dummy_prefix": False},
    }
    said = {}
    for name, kind in kinds.items():
        prefix = str(directory / name)
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(text), model_prefix=prefix, **SETTINGS, **kind
        )
        Path(f"{prefix}.vocab").unlink()
        model = sentencepiece.SentencePieceProcessor(model_file=f"{prefix}.model")
        said[name] = model.encode(list(TEXTS))
    answers = json.dumps({"texts": TEXTS, "ids": said}, indent=0)
    (directory / "said.json").write_text(answers + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
