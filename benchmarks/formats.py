"""Hold the readers, the checks, the conversions and the decoders against the machine itself.

    python benchmarks/formats.py -o formats.json
    python benchmarks/formats.py --gigabytes 0.25 --sparse-gigabytes 1     # a quick look

One run, side by side, on a llama of random bfloat16 weights with a vocabulary of 32,000:

* G0, and I-2 to I-4 between the SafeTensors and each conversion, in bytes of files a second, in turns
  with a plain sequential read of the same files, with them in the page cache (warm) and without
  (cold); the bound is half of what the read makes;
* the conversions, in turns with `cp`: until the file is there, as `cp` ends, until its sha256 is known
  too, and until the disk has it;
* decoders of quantised types against gguf-py's, on one core, in CPU time;
* the peak of resident memory, mapped pages included, of each part, each in a process of its own;
  also for a sparse file of a model that does not fit the bound by far.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from enum import Enum
from functools import partial
from importlib.resources import files
from mmap import mmap
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from figures import deliver
from synthetic import HIDDEN, SHAPE, VOCABULARY, lay_out, layers_of, make_model, random_tensors

from pytest_aprqa.artifact.check import check_artifact
from pytest_aprqa.artifact.config_hf import config_from_hf
from pytest_aprqa.artifact.convert import convert, converted_artifact
from pytest_aprqa.artifact.decoded_rows import DecodedRows
from pytest_aprqa.artifact.digest import DigestCache
from pytest_aprqa.artifact.dtypes import from_float32
from pytest_aprqa.artifact.files import make_artifact
from pytest_aprqa.artifact.model import Artifact
from pytest_aprqa.artifact.names import required_tensors
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.judge.invariants import judge_tensors
from pytest_aprqa.judge.judgement import Judgement
from pytest_aprqa.run.invariants import compare_artifacts, compare_dtypes, compare_names
from pytest_aprqa.words import Format

GB = 10**9
QUANTISED = (DType.Q4_0, DType.Q8_0, DType.Q4_K, DType.Q6_K)
HALF = 0.5
DECODER_RATIO = 3.0
ELEMENTS_AT_ONCE = 1 << 18  # that the checks decode
MEMORY_CONSTANT = 300e6
REPEATS = 5
LARGEST = VOCABULARY * HIDDEN * 2
"""Bytes of the largest tensor."""


class After(Enum):
    """What a conversion is timed with, after the file is there."""

    NOTHING = ""
    DIGEST = ", until its sha256 is known"
    SYNC = ", then sync"


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        what: was measured.
        value: in `unit`.
        bound: what it is held against: at least, or for memory at most; None for a yardstick.
    """

    what: str
    value: float
    unit: str
    bound: float | None = None

    @property
    def holds(self) -> bool | None:
        if self.bound is None:
            return None
        return self.value <= self.bound if self.unit == "MB" else self.value >= self.bound


@dataclass(frozen=True)
class Cost:
    """What a part took: seconds, and the most memory that its process held at once."""

    seconds: float
    peak_bytes: int


def main() -> None:
    """Run all parts, print the table and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--gigabytes", type=float, default=2.0, help="of the dense model")
    parser.add_argument("--sparse-gigabytes", type=float, default=12.0)
    parser.add_argument(
        "--directory", type=Path, help="for the files; a temporary one if not given"
    )
    parser.add_argument("-o", "--output", type=Path, help="JSON of all figures")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aprqa-formats-", dir=given.directory) as name:
        rows = [
            *decoders(),
            *dense(Path(name), given.gigabytes),
            *sparse(Path(name) / "sparse", given.sparse_gigabytes),
        ]
    load = f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}"
    figures = [{**asdict(row), "holds": row.holds} for row in rows]
    deliver("Formats", figures, [*table(rows), "", load], given.output)


def table(rows: Iterable[Row]) -> list[str]:
    lines = ["| what | value | bound | |", "|---|---:|---:|---|"]
    words = {True: "holds", False: "**missed**", None: ""}
    for row in rows:
        bound = "" if row.bound is None else f"{row.bound:.2f}"
        lines.append(f"| {row.what} | {row.value:.2f} {row.unit} | {bound} | {words[row.holds]} |")
    return lines


def dense(directory: Path, gigabytes: float) -> list[Row]:
    make_model(directory / "st", layers_of(gigabytes * GB), random_tensors)
    source = make_artifact(Format.SAFETENSORS, directory / "st", "benchmark", DigestCache())
    weights = directory / "st" / "model.safetensors"
    rows = yardsticks(weights, directory / "copy")
    made = {Format.SAFETENSORS: source}
    for form in (Format.APR, Format.GGUF):
        rows += conversions(source, form, directory)
        made[form] = converted_artifact(source, form, directory / form, DigestCache())
    for temperature in ("warm", "cold"):
        for artifact in made.values():
            rows += checks(artifact, source, temperature)
    return rows


def conversions(source: Artifact, form: Format, directory: Path) -> list[Row]:
    """Convert a model several times; the last result stays in a directory named for the format."""
    weights = source.path / "model.safetensors"
    size, rows, peak = weights.stat().st_size, [], 0
    for after in After:
        yardstick = partial(copied, weights, directory / "copy", after is After.SYNC)
        work = partial(apart, convert_fresh, source, form, directory / form, after)
        seconds, cost = in_turns(yardstick, work)
        bound = HALF * size / seconds / GB
        held = form is Format.APR and after is not After.DIGEST  # as cp computes none
        what = f"convert safetensors to {form}{after.value}"
        rows.append(Row(what, size / cost.seconds / GB, "GB/s", bound if held else None))
        peak = max(peak, cost.peak_bytes)
    return [*rows, memory(f"convert to {form}", Cost(0, peak), LARGEST)]


def checks(artifact: Artifact, source: Artifact, temperature: str) -> list[Row]:
    """Check an artifact, in turns with reading the same files from end to end."""
    both = dict.fromkeys([*artifact.files, *source.files])
    weights = [path for path in both if path.suffix != ".json"]
    evict = {"warm": [], "cold": list(both)}[temperature]
    yardstick = partial(read_cost, weights, evict)
    work = partial(apart, check_whole, artifact, source, evict=evict)
    seconds, cost = in_turns(yardstick, work)
    size = sum(path.stat().st_size for path in weights)
    what = "G0" if artifact is source else "G0 and I-2 to I-4"
    what = f"{what} [{artifact.format}], {temperature}"
    return [
        Row(what, size / cost.seconds / GB, "GB/s", HALF * size / seconds / GB),
        memory(what, cost, LARGEST),
    ]


def in_turns(yardstick: Callable[[], float], work: Callable[[], Cost]) -> tuple[float, Cost]:
    """Measure a yardstick and what is held against it in turns; keep the quickest of each.

    A virtual machine is now quicker and now slower, for minutes, and so is its disk.

    Returns:
        The seconds of the yardstick; those of the work, with the most memory it took.
    """
    turns = [(yardstick(), work()) for _ in range(REPEATS)]
    costs = [cost for _, cost in turns]
    quickest = Cost(min(c.seconds for c in costs), max(c.peak_bytes for c in costs))
    return min(seconds for seconds, _ in turns), quickest


def sparse(directory: Path, gigabytes: float) -> list[Row]:
    """A model of holes: as long as a large one, and nothing to read from the disk."""
    layers = layers_of(gigabytes * GB)
    for name in ("one", "other"):
        make_model(directory / name, layers, lambda config: ())
        lay_out(directory / name / "model.safetensors", {**SHAPE, "num_hidden_layers": layers})
    one, other = (
        Artifact(
            Format.SAFETENSORS,
            directory / name,
            (directory / name / "model.safetensors",),
            name,
            "benchmark",
        )
        for name in ("one", "other")
    )
    cost = apart(check_whole, other, one)
    what = f"G0 and I-2 to I-4, {bytes_of(one) / GB:.0f} GB sparse"
    return [
        Row(what, 2 * bytes_of(one) / cost.seconds / GB, "GB/s"),
        memory(what, cost, LARGEST),
    ]


def yardsticks(path: Path, copy: Path) -> list[Row]:
    """What the machine makes of its own, for whoever reads the table; no bound comes from these."""
    size = path.stat().st_size
    seconds = {
        "sequential read, warm": lambda: read_cost([path], []),
        "sequential read, cold": lambda: read_cost([path], [path]),
        "sha256": lambda: timed(hash_through, path),
        "cp": lambda: copied(path, copy, False),
        "cp, then sync": lambda: copied(path, copy, True),
    }
    return [
        Row(what, size / min(measure() for _ in range(REPEATS)) / GB, "GB/s")
        for what, measure in seconds.items()
    ]


def read_cost(paths: Sequence[Path], evict: Iterable[Path]) -> float:
    return apart(read_through, paths, evict=evict).seconds


def copied(path: Path, copy: Path, sync: bool) -> float:
    os.sync()
    return timed(copy_file, path, copy, sync)


def read_through(paths: Iterable[Path]) -> None:
    buffer = mmap(-1, 1 << 20)  # at the start of a page, where the system copies to twice as fast
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def hash_through(path: Path) -> None:
    with path.open("rb") as file:
        hashlib.file_digest(file, "sha256")


def copy_file(path: Path, copy: Path, sync: bool) -> None:
    copy.unlink(missing_ok=True)
    subprocess.run(["cp", "--reflink=never", str(path), str(copy)], check=True)
    if sync:
        subprocess.run(["sync", str(copy)], check=True)


def timed(work: Callable[..., Any], *arguments: Any) -> float:
    begin = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - begin


def forget(path: Path) -> None:
    """Take a file out of the page cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def apart(work: Callable[..., Any], *arguments: Any, evict: Iterable[Path] = ()) -> Cost:
    """Carry out a part in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(cost_of, work, arguments, tuple(evict)).result()


def cost_of(work: Callable[..., Any], arguments: tuple[Any, ...], evict: tuple[Path, ...]) -> Cost:
    """Time a part in a process that has its libraries imported, as that of a run has.

    Files to evict leave the page cache right before, and what is written takes the place of an
    earlier copy, also for a yardstick: the host of a virtual machine takes memory that is free for
    a while, and it costs more time to get that back than anything measured here.
    """
    import gguf  # noqa: F401

    shipped = Path(str(files("pytest_aprqa") / "builtin" / "aprqa-reference"))
    check_artifact(make_artifact(Format.SAFETENSORS, shipped, "benchmark", DigestCache()))
    os.sync()
    for path in evict:
        forget(path)
    seconds = timed(work, *arguments)
    status = Path("/proc/self/status").read_text().split()
    return Cost(seconds, int(status[status.index("VmHWM:") + 1]) * 1024)


def convert_fresh(
    source: Artifact, form: Format, directory: Path, after: After = After.NOTHING
) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    made = convert(source, form, directory)
    if after is After.SYNC:
        subprocess.run(["sync", str(made.path)], check=True)
    elif after is After.DIGEST:
        assert made.digest


def check_whole(artifact: Artifact, source: Artifact) -> None:
    """G0 of an artifact; and against its source, when it is another, I-2 to I-4."""
    check_artifact(artifact, reference=source)
    if artifact != source:
        judgements: list[Judgement] = [
            compare_names(source, artifact),
            compare_dtypes(source, artifact),
            judge_tensors(compare_artifacts(source, artifact)),
        ]
        assert all(judgement.compared["tensors"] for judgement in judgements)


def bytes_of(artifact: Artifact) -> int:
    return sum(path.stat().st_size for path in artifact.files if path.suffix != ".json")


def memory(what: str, cost: Cost, largest: int) -> Row:
    bound = 3 * largest + MEMORY_CONSTANT
    return Row(f"peak memory, {what}", cost.peak_bytes / 1e6, "MB", bound / 1e6)


def decoders() -> list[Row]:
    """The matrices of a layer of the model; one that no cache holds, and one that never leaves it.

    By rows, as the checks read them. The last is no work that a check has: gguf-py, which makes
    several arrays of the size of the matrix, is seldom so lucky.
    """
    config = config_from_hf({**SHAPE, "num_hidden_layers": 1})
    sizes = [slot.shape for slot in required_tensors(config) if len(slot.shape) == 2]
    work: dict[str, tuple[list[tuple[int, ...]], float | None]] = {
        "a layer": ([shape for shape in sizes if VOCABULARY not in shape], DECODER_RATIO),
        "4096 x 4096": ([(4096, 4096)], DECODER_RATIO),
        "1024 x 1024": ([(1024, 1024)], None),
    }
    return [
        row
        for what, (shapes, bound) in work.items()
        for dtype in QUANTISED
        for row in decoder(what, dtype, shapes, bound)
    ]


def decoder(
    what: str, dtype: DType, shapes: Iterable[tuple[int, ...]], bound: float | None
) -> list[Row]:
    from gguf.constants import GGMLQuantizationType
    from gguf.quants import dequantize

    code, random = GGMLQuantizationType[dtype], np.random.default_rng(0)
    matrices = [
        (from_float32(random.standard_normal(shape, np.float32) / 50, dtype), shape)
        for shape in shapes
    ]

    def theirs() -> None:
        for raw, shape in matrices:
            dequantize(raw.reshape(shape[0], -1), code)

    def ours() -> None:
        for raw, shape in matrices:
            rows, step = DecodedRows(raw, dtype, shape), ELEMENTS_AT_ONCE // shape[1]
            for first in range(0, shape[0], step):
                rows.rows(first, first + step)

    seconds, size = cpu_time(ours), sum(4 * shape[0] * shape[1] for _, shape in matrices)
    return [
        Row(f"decode {dtype}, {what}", size / seconds / GB, "GB/s"),
        Row(f"decode {dtype}, {what}, over gguf-py", cpu_time(theirs) / seconds, "x", bound),
    ]


def cpu_time(work: Callable[[], Any], repeats: int = 15) -> float:
    times = []
    for _ in range(repeats):
        begin = time.thread_time()
        work()
        times.append(time.thread_time() - begin)
    return min(times)


if __name__ == "__main__":
    main()
