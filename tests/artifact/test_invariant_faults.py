"""Each of the invariants I-1 to I-5 has a fault in a GGUF that it sees and the other four do not.

I-1 is judged on what transformers and llama.cpp say, too little for a pass; the others on the files.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_aprqa.artifact.convert import convert
from pytest_aprqa.artifact.digest import DigestCache
from pytest_aprqa.artifact.dtypes import from_float32
from pytest_aprqa.artifact.files import make_artifact
from pytest_aprqa.artifact.gguf_file import GgufFile
from pytest_aprqa.artifact.gguf_value import GgufValue
from pytest_aprqa.artifact.gguf_write import write_gguf
from pytest_aprqa.artifact.model import Artifact, ArtifactError, ArtifactFault
from pytest_aprqa.artifact.row_order import retyped
from pytest_aprqa.artifact.stated import stated_by
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.artifact.tensor_source import TensorSource
from pytest_aprqa.artifact.tokenizer_hf import tokenizer_json
from pytest_aprqa.judge.budget import budget_for
from pytest_aprqa.judge.invariants import (
    TokenizerCase,
    judge_logits,
    judge_tensors,
    judge_tokenizer,
)
from pytest_aprqa.observation import TokenScores
from pytest_aprqa.run.invariants import compare_artifacts, compare_dtypes, compare_names
from pytest_aprqa.run.tokenizer import SPECIAL_TEXTS, TOKENIZER_TEXTS
from pytest_aprqa.words import Format, Outcome

MODEL = "llama-f16"
UNUSED = 333  # a token the scored sequence has not


@dataclass
class Contents:
    values: dict[str, GgufValue]
    tensors: dict[str, TensorSource]

    def change(self, name: str, edit: Callable[[Any], None]) -> None:
        old = self.tensors[name]
        array = old.data().copy().view(np.float16).astype(np.float32).reshape(old.shape)
        edit(array)
        self.tensors[name] = replace(old, data=lambda: from_float32(array, old.dtype))


def other_rotation(contents: Contents) -> None:
    key = "llama.rope.freq_base"
    contents.values[key] = replace(contents.values[key], value=3.0)


def one_tensor_more(contents: Contents) -> None:
    name = "blk.0.ffn_up_copy.weight"
    contents.tensors[name] = replace(contents.tensors["blk.0.ffn_up.weight"], name=name)


def wider_dtype(contents: Contents) -> None:
    name = "blk.1.ffn_up.weight"
    contents.tensors[name] = retyped(contents.tensors[name], DType.F32)


def rows_of_unused_tokens(contents: Contents) -> None:
    def swap(array: Any) -> None:
        array[[UNUSED, UNUSED + 1]] = array[[UNUSED + 1, UNUSED]]

    contents.change("token_embd.weight", swap)


def two_tokens_swapped(contents: Contents) -> None:
    key = "tokenizer.ggml.tokens"
    tokens = list(contents.values[key].value)
    one, other = tokens.index("a"), tokens.index("e")
    tokens[one], tokens[other] = tokens[other], tokens[one]
    contents.values[key] = replace(contents.values[key], value=tokens)


FAULTS = {
    "I-1": other_rotation,
    "I-2": one_tensor_more,
    "I-3": wider_dtype,
    "I-4": rows_of_unused_tokens,
    "I-5": two_tokens_swapped,
    "": lambda contents: None,
}


@pytest.fixture(scope="module")
def spoilt(tiny_models: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    """Return a GGUF by the invariant that it breaks; "" is sound."""
    root = tmp_path_factory.mktemp("spoilt")
    sound = convert(tiny_models.artifact(MODEL), Format.GGUF, root / "sound")
    made = {}
    for name, fault in FAULTS.items():
        with GgufFile(sound.path) as file:
            contents = Contents(
                {value.key: value for value in file.values},
                {
                    tensor: TensorSource(tensor, info.dtype, info.shape, file.raw(tensor).copy)
                    for tensor, info in file.tensors.items()
                },
            )
        fault(contents)
        path = root / f"{name or 'none'}.gguf"
        write_gguf(path, list(contents.tensors.values()), list(contents.values.values()))
        made[name] = make_artifact(Format.GGUF, path, "tests", DigestCache())
    return made


@pytest.fixture(scope="module")
def said(spoilt: dict[str, Artifact], ask_llama_cpp: Callable[..., dict[str, Any]]) -> Any:
    return ask_llama_cpp([artifact.path for artifact in spoilt.values()])


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_turns_its_invariant_red_and_no_other(
    tiny_models: Any, spoilt: dict[str, Artifact], said: Any, name: str
) -> None:
    reference, artifact = tiny_models.artifact(MODEL), spoilt[name]
    judgements = {
        "I-1": lambda: logits(tiny_models, said[str(artifact.path)]),
        "I-2": lambda: compare_names(reference, artifact),
        "I-3": lambda: compare_dtypes(reference, artifact),
        "I-4": lambda: judge_tensors(compare_artifacts(reference, artifact)),
        "I-5": lambda: tokens(reference, artifact),
    }
    outcomes = {invariant: outcome(judge) for invariant, judge in judgements.items()}
    assert {key for key, found in outcomes.items() if found is Outcome.FALSIFIED} == (
        {name} if name else set()
    )
    if name != "I-2":  # nothing else is to be had of a file with a tensor nobody knows
        judged = {outcomes[invariant] for invariant in ("I-2", "I-3", "I-4", "I-5")}
        assert judged <= {Outcome.CORROBORATED, Outcome.FALSIFIED}


def outcome(judge: Callable[[], Any]) -> Outcome:
    """A file that cannot be read as a model gives no verdict, as in a run."""
    try:
        return Outcome(judge().outcome)
    except ArtifactError:
        return Outcome.INCONCLUSIVE


def logits(tiny_models: Any, answer: dict[str, Any]) -> Any:
    if "refused" in answer:
        raise ArtifactError(ArtifactFault.UNSUPPORTED, answer["refused"])
    pairs = [
        (np.array(expected), filled(told, len(expected)))
        for expected, told in zip(tiny_models.logprobs[MODEL], answer["logprobs"], strict=True)
        if told
    ]
    ours, theirs = (scores(np.array(side)) for side in zip(*pairs, strict=True))
    return judge_logits([ours], [theirs], budget_for("float32", "F16"))


def filled(told: dict[str, float], size: int) -> Any:
    found = np.full(size, -50.0)
    found[[int(token) for token in told]] = list(told.values())
    return found


def scores(logprobs: Any) -> TokenScores:
    ids = np.argsort(-logprobs, axis=1, kind="stable")[:, :64]
    return TokenScores(
        token_ids=(0,) * (len(logprobs) + 1),
        logprobs=tuple(logprobs[:, 0].tolist()),
        top_ids=tuple(map(tuple, ids.tolist())),
        top_logprobs=tuple(map(tuple, np.take_along_axis(logprobs, ids, 1).tolist())),
    )


def tokens(reference: Artifact, artifact: Artifact) -> Any:
    ours, theirs = tokenizer_of(reference), tokenizer_of(artifact)
    cases = []
    for text in (*TOKENIZER_TEXTS, *SPECIAL_TEXTS):
        ids, others = ours.encode(text).ids, theirs.encode(text).ids
        case = TokenizerCase(text, tuple(ids), tuple(others), theirs.decode(others))
        cases.append(replace(case, reference_decoded=ours.decode(ids)))
    return judge_tokenizer(cases)


def tokenizer_of(artifact: Artifact) -> Any:
    from tokenizers import Tokenizer

    if artifact.format is Format.SAFETENSORS:
        return Tokenizer.from_file(str(Path(artifact.path, "tokenizer.json")))
    vocabulary = stated_by(artifact).vocabulary
    assert vocabulary is not None
    return Tokenizer.from_str(json.dumps(tokenizer_json(vocabulary)))
