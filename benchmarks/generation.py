"""Hold batched generation against lm-evaluation-harness: same model, prompts, limits and batch.

    pip install 'lm-eval[hf]'
    python benchmarks/generation.py -o generation.json

Both load the SafeTensors of SmolLM2-135M-Instruct (or `--playbook`) once with transformers, in float32 on
as many threads, and answer the same raw prompts greedily, `--tokens` each, in batches of 16; by
turns, loading left out, the median of several repeats. lm-evaluation-harness does it by
`HFLM.generate_until`. The answers must be the same texts.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from figures import deliver

from pytest_aprqa.engine.open import open_engine, usable_cores
from pytest_aprqa.engine.protocol import Request
from pytest_aprqa.playbook.load import load_playbook
from pytest_aprqa.run.laboratory import Workshop
from pytest_aprqa.words import Backend, Format

HERE = Path(__file__).parent
SMOLLM2 = HERE.parent / "playbooks/models/smollm2-135m-mvp.playbook.yaml"
BATCH = 16
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
    """What both took; seconds of wall time for all prompts."""

    prompts: int
    tokens: int
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
    parser.add_argument("-o", "--output", type=Path, help="write the figures here as JSON")
    given = parser.parse_args()
    figures = measure(given.playbook, given.tokens, given.repeats)
    row = (
        f"| {figures.prompts} | {figures.tokens} | {figures.ours:.1f} | {figures.harness:.1f} "
        f"| {figures.faster:.2f} | {figures.equal} |"
    )
    table = (
        "| prompts | tokens each | pytest-aprqa, s | lm-evaluation-harness, s | faster | same answers |",
        "|---:|---:|---:|---:|---:|---:|",
        row,
    )
    content = asdict(figures) | {"faster": figures.faster}
    deliver("Generating, beside lm-evaluation-harness", content, table, given.output)


def measure(playbook: Path, tokens: int, repeats: int) -> Figures:
    """Let both answer by turns."""
    prompts = [opening.format(subject) for subject in SUBJECTS for opening in OPENINGS]
    loaded = load_playbook(playbook)
    workshop = Workshop(loaded.playbook.model, playbook_dir=playbook.parent)
    artifact = workshop.artifact(Format.SAFETENSORS)
    harness = Harness(artifact.path, tokens)
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(artifact, Backend.CPU, log_dir=Path(folder))
        requests = [Request(prompt=prompt, max_tokens=tokens) for prompt in prompts]
        for repeat in range(repeats + 1):
            begun = time.perf_counter()
            mine = [
                answer.text
                for start in range(0, len(requests), BATCH)
                for answer in engine.generate(requests[start : start + BATCH], TIMEOUT)
            ]
            middle = time.perf_counter()
            other = harness.answers(prompts)
            if repeat:  # the first is a warm-up, and loads
                ours.append(middle - begun)
                theirs.append(time.perf_counter() - middle)
        engine.close()
    return Figures(
        prompts=len(prompts),
        tokens=tokens,
        ours=statistics.median(ours),
        harness=statistics.median(theirs),
        equal=sum(a.strip() == b.strip() for a, b in zip(mine, other, strict=True)),
    )


class Harness:
    """lm-evaluation-harness on a model directory."""

    def __init__(self, model: Path, tokens: int) -> None:
        os.environ["HF_HUB_OFFLINE"] = "1"
        import torch
        from lm_eval.models.huggingface import HFLM

        torch.set_num_threads(usable_cores())
        self._model: Any = HFLM(
            pretrained=str(model), dtype="float32", device="cpu", batch_size=BATCH
        )
        self._limits = {"until": [], "max_gen_toks": tokens, "do_sample": False}

    def answers(self, prompts: list[str]) -> list[str]:
        """Return the greedy answers."""
        from lm_eval.api.instance import Instance

        requests = [
            Instance("generate_until", {}, (prompt, dict(self._limits)), number)
            for number, prompt in enumerate(prompts)
        ]
        answers: list[str] = self._model.generate_until(requests, disable_tqdm=True)
        return answers


if __name__ == "__main__":
    main()
