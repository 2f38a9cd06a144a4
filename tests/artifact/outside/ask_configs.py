"""What transformers understands of a config.json that leaves out one key.

Called with model types; prints for each the pairs [as stated, as understood], one per key.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from transformers import CONFIG_MAPPING

_DOUBLED = ("hidden_size", "num_attention_heads")  # so that no default follows from another


def _written(config: Any) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(config.to_json_string(use_diff=False))
    return values


def _without_one_key(stated: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from ({k: v for k, v in stated.items() if k != key} for key in stated)
    rope = stated["rope_parameters"]
    for key in rope:
        yield {**stated, "rope_parameters": {k: v for k, v in rope.items() if k != key}}


def _pairs(model_type: str) -> Iterator[list[dict[str, Any]]]:
    kind = CONFIG_MAPPING[model_type]
    values = _written(kind())
    for key in _DOUBLED:
        values[key] *= 2
    for stated in _without_one_key(_written(kind.from_dict(values))):
        if "model_type" in stated:
            yield [stated, _written(kind.from_dict(json.loads(json.dumps(stated))))]


print(json.dumps({model_type: list(_pairs(model_type)) for model_type in sys.argv[1:]}))  # noqa: T201
