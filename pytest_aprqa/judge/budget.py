"""How much of a reference's behaviour an artifact may lose, from what is known to cost what."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

SAFETY = 3.0
"""Factor between what a sound artifact was seen to lose and what it may lose.

The same quantisation differs by a factor of 2.5 between two 7-8B models (Q4_K_M: 0.0127 and
0.0313 nats, llama.cpp tools/perplexity), by 2 between 8B and 135M, and by 4 between texts (Q8_0 on
SmolLM2-135M: 0.0010 on prose, 0.0042 on a licence it knows by heart).
"""

MEASURED_SAFETY = 1.5
"""The same for noise that was measured on this very model, where only the text may differ."""

LEAST_KL = 3e-4
"""Nats that any two correct float32 implementations may differ by, with room for other kernels.

Measured: 1e-5 between torch and llama.cpp on an F16 file of SmolLM2-135M.
"""

COMPUTE_KL = {"float32": 1e-5, "float16": 1e-5, "bfloat16": 1.2e-3, "int8": 3.1e-3}
"""Mean KL in nats that arithmetic alone costs on identical weights, by type of the activations.

Measured on SmolLM2-135M-Instruct, 512 tokens: torch bfloat16 against float32, and llama.cpp,
which rounds activations to 8 bits when the weights are quantised.
"""

WEIGHTS_KL = {8: 1.6e-3, 6: 8.3e-3, 5: 2.2e-2, 4: 6.5e-2, 3: 2.1e-1, 2: 4.0e-1, 1: 1.5}
"""Mean KL in nats that rounding the weights costs, by bits per weight.

8, 6, 4 and 2 bits: Q8_0, Q6_K, Q4_K_M and Q2_K measured on SmolLM2-135M, less the cost of 8-bit
activations. 5 and 3 bits: twice what llama.cpp publishes for LLaMA-3-8B, the ratio of the two
models at 4 bits. 1 bit: extrapolated.
"""

LEGACY_KL = {(4, "0"): 1.4e-1, (4, "1"): 1.4e-1, (5, "0"): 1.0e-1, (5, "1"): 1.0e-1}
"""The older block types, which cost more than K types of the same width.

4 bits: twice the 0.072 nats that llama.cpp publishes for LLaMA-3-8B and Q4_0. 5 bits: Q5_0 and
Q5_1 of SmolLM2-135M on three texts, 0.08 to 0.12 and on one that it knows by heart 0.25 to 0.33.
"""

COSTS_LIKE = {"apr_q8": (5, "0"), "apr_q4": (2, "")}
"""Block types that cost what another of fewer bits does.

One scale for a whole tensor, or 15 levels about zero, is coarse. On two texts SmolLM2-135M loses
0.06 and 0.15 nats to APR_Q8, and 0.38 and 0.71 to APR_Q4.
"""

DISAGREEMENT = 0.56
"""Top-1 disagreement divided by the square root of the mean KL.

0.48 to 0.58 for the five llama.cpp rows of SmolLM2-135M, 0.43 to 0.63 for those of LLaMA-3-8B.
"""

LEAST_DISAGREEMENT = 0.05
"""Share of positions that may always disagree beyond a tie: 72 positions can prove it."""

LEAST_RATIO = 1.01
"""Perplexity ratio that is always allowed; vLLM fails a model one percent above its reference."""

RELATIVE = {16: 1e-3, 8: 1e-2, 6: 0.1, 5: 0.2, 4: 0.4, 3: 0.6, 2: 0.8, 1: 1.0}
"""Share of the reference's own information that a sound artifact may lose, by bits.

It binds where a model knows little, such as one of random weights, of which the usual number of
nats would be everything. Measured on random llama models with 256 to 2048 tokens of vocabulary: F16
up to 1e-5, bfloat16 6e-3, Q8_0 8e-3, Q6_K 0.08, Q5_0 0.3, Q4_0 0.3 to 0.6; on SmolLM2-135M, which
has 6 nats to lose, 1e-6, 4e-4, 6e-4, -, 0.04 and 0.15. Swapped layers cost from 0.07 upwards.
"""

_FLOATS = {
    "f64": "float32",
    "float64": "float32",
    "f32": "float32",
    "float32": "float32",
    "f16": "float16",
    "float16": "float16",
    "bf16": "bfloat16",
    "bfloat16": "bfloat16",
}


@dataclass(frozen=True, slots=True)
class Budget:
    """What an artifact may lose against its reference and still be a sound conversion.

    Attributes:
        max_mean_kl: mean KL(reference || artifact), nats per token.
        min_top1: share of positions with the same most probable token, ties not counted against.
        max_perplexity_ratio: perplexity of the artifact over that of the reference.
        tie_margin: nats; tokens that are closer than this may change places.
        because: how the numbers came about, for people.
    """

    max_mean_kl: float
    min_top1: float
    max_perplexity_ratio: float
    tie_margin: float
    because: str


def tie_margin(mean_kl: float) -> float:
    """Return by how many nats noise of this mean KL may shift one token against another.

    Independent Gaussian noise of standard deviation s on each logit costs a mean KL of at most
    s^2 / 2 and shifts the gap of two logits by s * sqrt(2); this is three times that,
    3 * sqrt(2) * sqrt(2 * KL) = 6 * sqrt(KL).
    """
    return 6.0 * math.sqrt(mean_kl)


SAME_WEIGHTS_TIE = tie_margin(COMPUTE_KL["int8"])
"""Nats by which other arithmetic may shift two tokens on the same weights: 0.33.

SmolLM2-135M answers one prompt differently on two engines at a gap of 0.16 nats.
"""


def budget_for(
    reference_dtype: str,
    artifact_dtype: str,
    *,
    same_weights: bool = False,
    reference_noise: float | None = None,
    information: float | None = None,
) -> Budget:
    """Return the budget of a pair of engines and dtypes.

    Noise of different origin adds up in the logits' variance and so in KL: arithmetic of both
    sides plus rounding of the weights, times a safety factor. The figures are of one language
    model; tiny or unusually peaked or flat models differ, for which there are the two numbers
    measured on the reference itself.

    Args:
        reference_dtype: what the reference's engine computes in ("float32", "bfloat16").
        artifact_dtype: what the artifact's weights are stored in ("F16", "Q8_0", "Q4_K_M"), also
            when its engine computes in another.
        same_weights: the reference was made from this very artifact, so only arithmetic differs.
        reference_noise: mean KL of the reference against itself in another dtype or batch, nats;
            it replaces the table where it is greater.
        information: mean of `kl.information` over the reference's scores, nats; the budget never
            exceeds the share of it that `RELATIVE` gives.

    Raises:
        ValueError: a dtype of which nothing is known.
    """
    table = COMPUTE_KL[_arithmetic(reference_dtype)] + COMPUTE_KL[_arithmetic(artifact_dtype)]
    arithmetic = max(SAFETY * table, MEASURED_SAFETY * (reference_noise or 0.0))
    weights = 0.0 if same_weights else SAFETY * _weights_kl(artifact_dtype)
    kl = max(LEAST_KL, arithmetic + weights)
    measured = ", as measured," if arithmetic > SAFETY * table else ""
    because = (
        f"{arithmetic:.2g} nats{measured} for arithmetic and {weights:.2g} for rounding the weights"
    )
    share = max(RELATIVE[_bits(reference_dtype)], RELATIVE[_bits(artifact_dtype)])
    if information is not None and share * information < kl:
        kl = share * information
        because = f"{share:g} of the {information:.2g} nats the reference's answers carry"
    return Budget(
        max_mean_kl=kl,
        min_top1=1.0 - min(1.0, max(LEAST_DISAGREEMENT, DISAGREEMENT * math.sqrt(kl))),
        max_perplexity_ratio=max(LEAST_RATIO, math.exp(2.0 * kl)),
        tie_margin=tie_margin(kl),
        because=because,
    )


def other_arithmetic(reference_dtype: str, artifact_dtype: str) -> str:
    """Return the float type in which a reference is worth holding against itself; "" for none.

    It is the one that the artifact's engine computes in. A reference that computes in bfloat16 has
    noise of its own whatever the artifact does, and shows it against float16, which has three bits
    more. What rounding activations to 8 bits costs, a float engine cannot tell.

    Args:
        reference_dtype: as for `budget_for`.
        artifact_dtype: as for `budget_for`.

    Raises:
        ValueError: a dtype of which nothing is known.
    """
    ours, theirs = _arithmetic(reference_dtype), _arithmetic(artifact_dtype)
    if ours == "bfloat16":
        return "float16"
    return theirs if theirs != ours and theirs in ("float16", "bfloat16") else ""


def _arithmetic(dtype: str) -> str:
    """Return the type of the activations an engine computes with, given the dtype of a model."""
    kind = _parse(dtype)
    return kind if isinstance(kind, str) else "int8"


def _weights_kl(dtype: str) -> float:
    kind = _parse(dtype)
    if isinstance(kind, str):
        return COMPUTE_KL[kind]
    return LEGACY_KL.get(kind, WEIGHTS_KL[kind[0]])


def _bits(dtype: str) -> int:
    """Return the bits per weight that a dtype is as coarse as; for bfloat16 that is 8."""
    kind = _parse(dtype)
    if isinstance(kind, str):
        return 8 if kind == "bfloat16" else 16
    return kind[0]


def _parse(dtype: str) -> str | tuple[int, str]:
    """Return the float type, or bits and variant of the quantisation, that a name costs like.

    Engines decorate names: llama.cpp says "all F32", "Q4_K - Medium" and "Q4_0 (guessed)".
    """
    for word in re.findall(r"\w+", dtype.lower()):
        if word in _FLOATS:
            return _FLOATS[word]
        if word in COSTS_LIKE:
            return COSTS_LIKE[word]
    match = re.search(r"(?:Q|FP|INT)([1-8])(?!\d)(?:_([01])\b)?", dtype.upper())
    if match is None or int(match[1]) not in WEIGHTS_KL:
        raise ValueError(
            f"No fidelity budget is known for the dtype {dtype!r}; "
            "known are float types and quantisations of 1 to 8 bits such as Q8_0 or Q4_K_M."
        )
    return int(match[1]), match[2] or ""
