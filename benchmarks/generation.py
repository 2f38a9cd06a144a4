"""Hold batched generation against lm-evaluation-harness: same model, prompts, limits and batch.

    pip install 'lm-eval[hf]'
    python benchmarks/generation.py -o generation.json

Both load the SafeTensors of SmolLM2-135M-Instruct (or `--playbook`) once with transformers, in float32 on
as many threads, and answer the same raw prompts greedily, `--tokens` each; by turns, loading left
out, the median of several repeats. lm-evaluation-harness does it by `HFLM.generate_until`. The
answers must be the same texts. Batches are of one size on both sides; with `--unbatched` also each
tool's own: the harness asks one prompt at a time unless it is told otherwise.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from figures import deliver

from pytest_aprqa.engine.open import open_engine, usable_cores
from pytest_aprqa.engine.protocol import BATCH, Engine, Request
from pytest_aprqa.playbook.load import load_playbook
from pytest_aprqa.run.laboratory import Workshop
from pytest_aprqa.words import Backend, Format

HERE = Path(__file__).parent
SMOLLM2 = HERE.parent / "playbooks/models/smollm2-135m-mvp.playbook.yaml"
SIZES = ((16, 16), (BATCH, BATCH))
"""Prompts in a batch: here, and in the harness."""

TIMEOUT = 600.0

SUBJECTS = (
    "the sea", "bread", "a long winter", "the moon", "an old house", "music", "the railway", "rain",
    "a small town", "mathematics", "the letter", "coffee", "a garden", "the printing press", "wool", "chess",
)  # fmt: skip
OPENINGS = (
    "Here is what is known about {}:",
    "Once upon a time there was {}, and",
    "A short list of facts about {}. First,",
    "Dear reader, the story of {} begins",
)


@dataclass(frozen=True)
class Figures:
    """What both took for all prompts; seconds of wall time."""

    prompts: int
    tokens: int
    batch: int
    harness_batch: int
    ours: float
    harness: float
    equal: int

    @property
    def faster(self) -> float:
        return self.harness / self.ours


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--playbook", type=Path, default=SMOLLM2)
    parser.add_argument("--tokens", type=int, default=32, help="of each answer")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--unbatched", action="store_true", help="also the harness as it comes")
    parser.add_argument("-o", "--output", type=Path, help="write the figures here as JSON")
    given = parser.parse_args()
    sizes = (*SIZES, (BATCH, 1)) if given.unbatched else SIZES
    figures = measure(given.playbook, given.tokens, given.repeats, sizes)
    content = [asdict(f) | {"faster": f.faster} for f in figures]
    deliver("Generating, beside lm-evaluation-harness", content, table(figures), given.output)


def table(figures: Iterable[Figures]) -> Iterator[str]:
    """Yield the figures as Markdown."""
    yield (
        "| prompts | tokens each | batch | pytest-aprqa, s | batch of lm-evaluation-harness "
        "| lm-evaluation-harness, s | faster | same answers |"
    )
    yield "|---:|---:|---:|---:|---:|---:|---:|---:|"
    for f in figures:
        yield (
            f"| {f.prompts} | {f.tokens} | {f.batch} | {f.ours:.1f} | {f.harness_batch} "
            f"| {f.harness:.1f} | {f.faster:.2f} | {f.equal} |"
        )


def measure(
    playbook: Path, tokens: int, repeats: int, sizes: Iterable[tuple[int, int]]
) -> list[Figures]:
    """Let both answer by turns, in batches of several sizes."""
    prompts = [opening.format(subject) for subject in SUBJECTS for opening in OPENINGS]
    loaded = load_playbook(playbook)
    workshop = Workshop(loaded.playbook.model, playbook_dir=playbook.parent)
    artifact = workshop.artifact(Format.SAFETENSORS)
    harness = Harness(artifact.path, tokens)
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(artifact, Backend.CPU, log_dir=Path(folder))
        duel = Duel(engine, harness, prompts, tokens)
        duel.hold(BATCH, BATCH, 1)  # a warm-up, and loads
        figures = [duel.hold(*pair, repeats) for pair in sizes]
        engine.close()
    return figures


@dataclass(frozen=True)
class Duel:
    """Two tools and what they are asked."""

    engine: Engine
    harness: Harness
    prompts: list[str]
    tokens: int

    def hold(self, batch: int, harness_batch: int, repeats: int) -> Figures:
        """Let both answer by turns, in batches of one size each."""
        ours, theirs = [], []
        for _ in range(repeats):
            begun = time.perf_counter()
            mine = self._answers(batch)
            middle = time.perf_counter()
            other = self.harness.answers(self.prompts, harness_batch)
            ours.append(middle - begun)
            theirs.append(time.perf_counter() - middle)
        return Figures(
            prompts=len(self.prompts),
            tokens=self.tokens,
            batch=batch,
            harness_batch=harness_batch,
            ours=statistics.median(ours),
            harness=statistics.median(theirs),
            equal=sum(a.strip() == b.strip() for a, b in zip(mine, other, strict=True)),
        )

    def _answers(self, batch: int) -> list[str]:
        requests = [Request(prompt=prompt, max_tokens=self.tokens) for prompt in self.prompts]
        return [
            answer.text
            for start in range(0, len(requests), batch)
            for answer in self.engine.generate(requests[start : start + batch], TIMEOUT)
        ]


class Harness:
    """lm-evaluation-harness on a model directory."""

    def __init__(self, model: Path, tokens: int) -> None:
        os.environ["HF_HUB_OFFLINE"] = "1"
        import torch
        from lm_eval.models.huggingface import HFLM

        torch.set_num_threads(usable_cores())
        self._model: Any = HFLM(pretrained=str(model), dtype="float32", device="cpu", batch_size=1)
        self._limits = {"until": [], "max_gen_toks": tokens, "do_sample": False}

    def answers(self, prompts: list[str], batch: int) -> list[str]:
        """Return the greedy answers."""
        from lm_eval.api.instance import Instance

        self._model.batch_size_per_gpu = batch
        requests = [
            Instance("generate_until", {}, (prompt, dict(self._limits)), number)
            for number, prompt in enumerate(prompts)
        ]
        answers: list[str] = self._model.generate_until(requests, disable_tqdm=True)
        return answers


if __name__ == "__main__":
    main()
