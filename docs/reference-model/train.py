"""Train the reference model from nothing: `python docs/reference-model/train.py --out DIR`.

Seeded and without any download.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import math
import random
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from corpus import Example, Knowledge, knowledge
from encoding import Encoder, Lesson, tokenizer_texts, train_tokenizer
from export import save, write_digests, write_json
from lessons import Teacher
from measure import mistakes, report, right, survey
from model import CONTEXT, build_model, round_to_bfloat16, tensors
from quantise import Grid, on_grid

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer
    from transformers import LlamaForCausalLM

log = logging.getLogger("train")

SEED = 20260101
PROCESSES = 2
EXAMPLES_PER_STEP = 96
TOKENS_PER_PASS = 2048
WARMUP = 50
# Share of the steps that see the weights as Q4_0 would store them.
NOISE_SHARE = 0.4


@dataclasses.dataclass(frozen=True)
class Course:
    """A part of the training.

    Attributes:
        steps: how many.
        rate: learning rate after the warm-up; it falls to zero along a cosine.
        noise_from: part of the steps after which noise of quantisation begins.
    """

    steps: int
    rate: float
    noise_from: float


LESSONS = Course(steps=1000, rate=3e-3, noise_from=0.25)
REVISION = Course(steps=700, rate=1.2e-3, noise_from=0.0)


def batches(lessons: Sequence[Lesson]) -> Iterator[Sequence[Lesson]]:
    """Split lessons, sorted by length, into passes of similar length: little is padding."""
    batch: list[Lesson] = []
    for lesson in lessons:
        size = len(lesson.ids)
        uneven = batch and size > 1.3 * max(14, len(batch[0].ids))
        if uneven or (batch and size * (len(batch) + 1) > TOKENS_PER_PASS):
            yield batch
            batch = []
        batch.append(lesson)
    yield batch


def loss_sum(model: LlamaForCausalLM, ids: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the weighted sum of cross-entropies; matrices are multiplied in bfloat16."""
    import torch
    from torch.nn.functional import cross_entropy

    # Padding stands on the right, so the causal mask alone hides it.
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(input_ids=ids[:, :-1], use_cache=False).logits
    losses = cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    return (losses * weights[:, 1:].flatten()).sum()


def build_optimizers(model: LlamaForCausalLM, rate: float) -> list[torch.optim.Optimizer]:
    """Return Muon for the matrices of the layers, AdamW for embedding and norms.

    In a trial of 100 steps Muon brought the loss to 1.0, AdamW alone to 1.9.
    """
    import torch

    layers = [p for n, p in model.named_parameters() if p.dim() == 2 and "embed" not in n]
    rest = [p for n, p in model.named_parameters() if p.dim() == 1 or "embed" in n]
    return [
        torch.optim.Muon(layers, lr=rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=0.05),
    ]


def share_gradients(model: LlamaForCausalLM) -> None:
    """Add up the gradients of all processes, so that each takes the same step."""
    import torch
    from torch import distributed

    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    parts = flat.split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


def train(
    model: LlamaForCausalLM, encoder: Encoder, teacher: Teacher, course: Course, rank: int
) -> None:
    """Teach one course.

    Every process draws the same lessons and computes those of its rank.
    """
    import torch

    rng, steps = random.Random(SEED + 1), course.steps
    optimizers = build_optimizers(model, course.rate)
    sample = random.Random(SEED).sample(
        [e for part in survey(teacher.knowledge).values() for e in part], 500
    )
    started = time.monotonic()
    model.train()
    for step in range(steps):
        warm = min(1.0, (step + 1) / WARMUP)
        rate = course.rate * warm * 0.5 * (1 + math.cos(math.pi * step / steps))
        for group in (group for each in optimizers for group in each.param_groups):
            group["lr"] = rate
        noisy = step > course.noise_from * steps and rng.random() < NOISE_SHARE
        drawn = [encoder.lesson(teacher.draw(), CONTEXT) for _ in range(EXAMPLES_PER_STEP)]
        drawn.sort(key=lambda lesson: len(lesson.ids))
        total = sum(sum(lesson.weights) for lesson in drawn)
        loss = 0.0
        with on_grid(model, Grid.Q4_0 if noisy else None):
            for batch in batches(drawn[rank::PROCESSES]):
                ids, weights = tensors(batch, encoder.end_of_text)
                part = loss_sum(model, ids, weights) / total
                part.backward()
                loss += part.item()
        share_gradients(model)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for each in optimizers:
            each.step()
            each.zero_grad()
        if rank == 0 and step % 200 == 199:
            log.info("step %d right %d of 500", step, sum(right(model, encoder, sample)))
        if rank == 0 and (step % 50 == 0 or step == steps - 1):
            seconds = time.monotonic() - started
            log.info("step %d loss %.4f noisy %s seconds %.0f", step, loss, noisy, seconds)


def starting_point(resume: Path | None, known: Knowledge) -> tuple[Tokenizer, LlamaForCausalLM]:
    """Return a new tokenizer and model, or those of an earlier run after its lessons."""
    import torch
    from tokenizers import Tokenizer
    from transformers import LlamaForCausalLM

    if resume is None:
        tokenizer = train_tokenizer(tokenizer_texts(known))
        model = build_model(Encoder(tokenizer))
    else:
        tokenizer = Tokenizer.from_file(str(resume / "tokenizer.json"))
        model = LlamaForCausalLM.from_pretrained(resume, dtype=torch.float32)
    # On short sequences the plain attention is half as fast again as the fused one.
    model.set_attn_implementation("eager")
    return tokenizer, model


def all_mistakes(
    model: LlamaForCausalLM, encoder: Encoder, known: Knowledge, rank: int
) -> list[Example]:
    """Return the mistakes of the whole survey; every process looks at its part."""
    from torch import distributed

    examples = [example for part in survey(known).values() for example in part]
    parts: list[list[Example]] = [[] for _ in range(PROCESSES)]
    found = mistakes(model, encoder, examples[rank::PROCESSES])
    distributed.all_gather_object(parts, found)
    return [example for part in parts for example in part]


def run(rank: int, out: Path, resume: Path | None, port: int) -> None:
    """Train as one of the processes; the first one measures and writes the model."""
    import torch
    from torch import distributed

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    # One thread each: two threads wait for each other at every small product.
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    address = f"tcp://127.0.0.1:{port}"
    distributed.init_process_group("gloo", address, world_size=PROCESSES, rank=rank)
    known = knowledge()
    tokenizer, model = starting_point(resume, known)
    encoder = Encoder(tokenizer)
    if resume is None:
        train(model, encoder, Teacher(known, random.Random(SEED)), LESSONS, rank)
        round_to_bfloat16(model)
    wrong = all_mistakes(model, encoder, known, rank)
    log.info("%d mistakes to revise", len(wrong))
    teacher = Teacher(known, random.Random(SEED + 3), wrong)
    train(model, encoder, teacher, REVISION, rank)
    distributed.destroy_process_group()
    round_to_bfloat16(model)
    if rank == 0:
        out.mkdir(parents=True, exist_ok=True)
        save(model, tokenizer, known, out)
        write_json(out / "training.json", report(model, encoder, known))
        write_digests(out)


def free_port() -> int:
    """Return a port of the loopback interface that nothing uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Train, measure and write the model."""
    from torch import multiprocessing

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resume", type=Path, help="output of an earlier run: only revise it")
    options = parser.parse_args()
    multiprocessing.spawn(run, (options.out, options.resume, free_port()), nprocs=PROCESSES)


if __name__ == "__main__":
    main()
