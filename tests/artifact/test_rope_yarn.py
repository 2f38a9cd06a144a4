from __future__ import annotations

import math
from typing import Any

import pytest

from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.rope_yarn import yarn_attention_from_gguf, yarn_to_gguf

YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}
OWN = 1 + 0.1 * math.log(4)


@pytest.mark.parametrize(
    "neutral",
    [
        {},
        {"beta_fast": 32, "beta_slow": 1.0, "truncate": True, "attention_factor": None},
        {"attention_factor": OWN},
        {"mscale": 1.0, "mscale_all_dim": 0},
        {"beta_fast": None},
    ],
)
def test_what_gguf_takes_for_granted_is_not_said(neutral: dict[str, Any]) -> None:
    assert yarn_to_gguf({**YARN, **neutral}) == {}


@pytest.mark.parametrize(
    ("stated", "attention"),
    [
        ({"attention_factor": 1.5}, 1.5),
        ({"mscale": 1.0, "mscale_all_dim": 0.5}, OWN / (1 + 0.05 * math.log(4))),
        ({"mscale": 0.7, "mscale_all_dim": 0.7}, 1.0),
    ],
)
def test_another_attention_factor_is_said_as_a_share_of_its_own(
    stated: dict[str, Any], attention: float
) -> None:
    (share,) = yarn_to_gguf({**YARN, **stated}).values()
    assert share == pytest.approx(attention / OWN)
    assert yarn_attention_from_gguf(4.0, share)["attention_factor"] == pytest.approx(attention)


@pytest.mark.parametrize("key", ["beta_fast", "beta_slow", "truncate"])
def test_what_gguf_cannot_say_is_refused_by_name(key: str) -> None:
    with pytest.raises(ArtifactError, match=f"YaRN with {key}=False") as caught:
        yarn_to_gguf({**YARN, key: False})
    assert caught.value.fault is ArtifactFault.UNSUPPORTED


@pytest.mark.parametrize("share", [None, 1.0])
def test_a_gguf_of_plain_yarn_states_no_attention_factor(share: float | None) -> None:
    assert yarn_attention_from_gguf(4.0, share) == {}
