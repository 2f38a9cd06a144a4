"""Faults of the configuration: what is said of the weights is not what they are."""

from __future__ import annotations

from random import Random

from pytest_aprqa.falsify.fault import (
    Family,
    Faults,
    NotApplicableError,
    Original,
    Sample,
    converted,
    everywhere,
)
from pytest_aprqa.falsify.gate import Gate
from pytest_aprqa.falsify.statements import (
    hf_config,
    metadata,
    state,
    state_architecture,
    state_ends,
    state_rope_scaling,
)
from pytest_aprqa.falsify.weights_file import edited
from pytest_aprqa.words import Format

fault = Faults(Family.CONFIG)

_TOLD = converted(Gate.G0, reference=Gate.QUAL)
"""Gates for a value the reference states too; in the reference only the answers show it."""

_UNTOLD = converted(Gate.G0, reference=Gate.DIGEST)
"""The same for a value that changes no short answer."""


@fault(
    "rope-theta",
    "the base of the rotary frequencies is a hundred times too large",
    _UNTOLD,
    blind="short prompts hardly turn on the slow frequencies, which alone move",
)
def rope_theta(sample: Sample, random: Random) -> None:
    state(sample, "theta", lambda theta: theta * 100)


@fault(
    "rope-theta-slightly",
    "the base of the rotary frequencies is a tenth too large",
    _UNTOLD,
    blind="the frequencies move by less than short prompts can tell",
)
def rope_theta_slightly(sample: Sample, random: Random) -> None:
    state(sample, "theta", lambda theta: theta * 1.1)


@fault("rope-scaling", "positions are divided by four, as if the context had been stretched", _TOLD)
def rope_scaling(sample: Sample, random: Random) -> None:
    state_rope_scaling(sample, 4.0)


@fault(
    "epsilon",
    "the epsilon of the norms is another common default, ten times too small",
    _UNTOLD,
    blind="activations are far larger than either epsilon, so that no answer depends on it",
)
def epsilon(sample: Sample, random: Random) -> None:
    state(sample, "epsilon", lambda value: value / 10)


@fault("epsilon-large", "the epsilon of the norms is 1", _TOLD)
def epsilon_large(sample: Sample, random: Random) -> None:
    state(sample, "epsilon", lambda _: 1.0)


@fault("heads", "heads are counted twice and half as wide, so that every shape still fits", _TOLD)
def heads(sample: Sample, random: Random) -> None:
    state(sample, "heads", lambda count: count * 2)
    state(sample, "kv_heads", lambda count: count * 2)
    state(sample, "head_dim", lambda width: width // 2)


@fault("kv-heads", "there are as many key-value heads as heads", everywhere(Gate.G0))
def kv_heads(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        count, shared = file.config.num_heads, file.config.num_kv_heads
    if count == shared:
        raise NotApplicableError("the model has as many key-value heads as heads")
    state(sample, "kv_heads", lambda _: count)


@fault("layers-fewer", "the configuration knows one layer less than there are", everywhere(Gate.G0))
def layers_fewer(sample: Sample, random: Random) -> None:
    state(sample, "layers", lambda count: count - 1)


@fault("layers-more", "the configuration knows one layer more than there are", everywhere(Gate.G0))
def layers_more(sample: Sample, random: Random) -> None:
    state(sample, "layers", lambda count: count + 1)


@fault(
    "vocabulary",
    "the vocabulary is stated 64 tokens larger than the embedding",
    everywhere(Gate.G0),
)
def vocabulary(sample: Sample, random: Random) -> None:
    if sample.format is Format.SAFETENSORS:
        with hf_config(sample) as config:
            config["vocab_size"] += 64
        return
    with metadata(sample) as values:
        if sample.format is Format.APR:
            values["vocab_size"] += 64
            return
        # What counts in GGUF is the list of tokens.
        more = [f"[PAD{number}]" for number in range(64)]
        values["tokenizer.ggml.tokens"] = [*values["tokenizer.ggml.tokens"], *more]
        values["tokenizer.ggml.token_type"] = [*values["tokenizer.ggml.token_type"], *[5] * 64]
        values[f"{values['general.architecture']}.vocab_size"] += 64


@fault("intermediate-size", "the width of the feed-forward part is wrong", everywhere(Gate.G0))
def intermediate_size(sample: Sample, random: Random) -> None:
    state(sample, "intermediate", lambda width: width - 32)


@fault(
    "context-longer",
    "the context is stated sixteen times as long as the model was trained for",
    _UNTOLD,
    blind="what a context was trained for stands nowhere else",
)
def context_longer(sample: Sample, random: Random) -> None:
    state(sample, "context", lambda length: length * 16)


@fault(
    "context-shorter",
    "the context is stated four times as short",
    _UNTOLD,
    blind="what a context was trained for stands nowhere else",
)
def context_shorter(sample: Sample, random: Random) -> None:
    state(sample, "context", lambda length: length // 4)


@fault(
    "end-wrong",
    "a token that is never written is stated to end an answer",
    _UNTOLD,
    blind="what follows the answer is not read: only its length tells, and any model may be long",
)
def end_wrong(sample: Sample, random: Random) -> None:
    with edited(sample) as file:
        unused = file.config.vocab_size - 1
    state_ends(sample, (unused,))


@fault(
    "end-common",
    "the token of a full stop is stated to end an answer too",
    _UNTOLD,
    blind="answers of one sentence lose nothing but their full stop",
)
def end_common(sample: Sample, random: Random) -> None:
    from tokenizers import Tokenizer

    with edited(sample) as file:
        ends = file.config.eos_token_ids
    tokenizer = Tokenizer.from_file(str(sample.directory / "tokenizer.json"))
    stop = tokenizer.token_to_id(".")
    if stop is None:
        raise NotApplicableError("a full stop is no token of its own")
    state_ends(sample, (*ends[:1], stop))


@fault(
    "end-missing",
    "no token is stated to end an answer",
    _UNTOLD,
    blind="what follows the answer is not read: only its length tells, and any model may be long",
)
def end_missing(sample: Sample, random: Random) -> None:
    state_ends(sample, ())


@fault(
    "activation",
    "the activation is a plain GELU",
    {Format.SAFETENSORS: Gate.DIGEST, Format.APR: Gate.G0},
    blind="the two curves are close: short answers survive the other one",
)
def activation(sample: Sample, random: Random) -> None:
    state(sample, "activation", lambda _: "gelu")


@fault(
    "tied-lost",
    "the head is not stated to be the embedding any more",
    {Format.SAFETENSORS: Gate.G0, Format.APR: Gate.G0},
)
def tied_lost(sample: Sample, random: Random) -> None:
    state(sample, "tied", lambda _: False)


@fault(
    "tied-invented",
    "the head is stated to be the embedding, although it differs",
    {Format.SAFETENSORS: Gate.G0, Format.APR: Gate.G0},
    original=Original.UNTIED,
)
def tied_invented(sample: Sample, random: Random) -> None:
    state(sample, "tied", lambda _: True)


@fault("architecture", "another architecture is stated", everywhere(Gate.G0))
def architecture(sample: Sample, random: Random) -> None:
    state_architecture(sample, "qwen2", "Qwen2ForCausalLM")


@fault("head-count-missing", "the number of heads is not stated", everywhere(Gate.G0))
def head_count_missing(sample: Sample, random: Random) -> None:
    if sample.format is Format.SAFETENSORS:
        with hf_config(sample) as config:
            del config["num_attention_heads"]
        return
    with metadata(sample) as values:
        prefix = values.get("general.architecture")
        del values["num_heads" if prefix is None else f"{prefix}.attention.head_count"]


@fault("file-missing", "config.json is not there", {Format.SAFETENSORS: Gate.G0})
def file_missing(sample: Sample, random: Random) -> None:
    (sample.directory / "config.json").unlink()


@fault("file-cut", "config.json ends in its middle", {Format.SAFETENSORS: Gate.G0})
def file_cut(sample: Sample, random: Random) -> None:
    path = sample.directory / "config.json"
    path.write_text(path.read_text("utf-8")[:200], "utf-8")


@fault(
    "remote-code", "the model asks to run code that comes with it", {Format.SAFETENSORS: Gate.G0}
)
def remote_code(sample: Sample, random: Random) -> None:
    with hf_config(sample) as config:
        config["auto_map"] = {"AutoModelForCausalLM": "modeling_custom.CustomForCausalLM"}
