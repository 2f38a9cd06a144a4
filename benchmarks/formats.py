"""Hold the readers, the checks, the conversions and the decoders against the machine itself.

    python benchmarks/formats.py -o formats.json
    python benchmarks/formats.py --gigabytes 0.25 --sparse-gigabytes 1     # a quick look

One run, side by side, on a llama of random bfloat16 weights with a vocabulary of 32,000:

* the speed of a plain sequential read of its weights file, with the file in the page cache (warm)
  and without (cold), that of its sha256, and that of `cp`, with and without the disk having it all;
* G0, and I-2 to I-4 between the SafeTensors and each conversion, in bytes of files a second;
* the conversions: until the file is there, as `cp` ends, until its sha256 is known too, and until the
  disk has it;
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
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from enum import Enum
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
from pytest_aprqa.artifact.convert import convert
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
REPEATS = 3


class After(Enum):
    """What a conversion is timed with, beside the file being there."""

    NOTHING = "nothing"
    DIGEST = "its sha256"
    SYNC = "the disk having it"


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
    weights = directory / "st" / "model.safetensors"
    rows = yardsticks(weights, directory / "copy")
    speed = {row.what: row.value for row in rows}
    source = make_artifact(Format.SAFETENSORS, directory / "st", "benchmark", DigestCache())
    largest = VOCABULARY * HIDDEN * 2
    made = {Format.SAFETENSORS: source}
    for form in (Format.APR, Format.GGUF):
        cost = best(convert_fresh, source, form, directory / form)
        made[form] = convert(source, form, directory / form)
        rate = weights.stat().st_size / cost.seconds / GB
        bound = HALF * speed["cp"] if form is Format.APR else None
        rows.append(Row(f"convert safetensors to {form}", rate, "GB/s", bound))
        digested = best(convert_fresh, source, form, directory / form, After.DIGEST)
        rate = weights.stat().st_size / digested.seconds / GB
        rows.append(Row(f"convert safetensors to {form}, until its sha256 is there", rate, "GB/s"))
        synced = best(convert_fresh, source, form, directory / form, After.SYNC)
        rate = weights.stat().st_size / synced.seconds / GB
        bound = HALF * speed["cp, then sync"] if form is Format.APR else None
        rows.append(Row(f"convert safetensors to {form}, then sync", rate, "GB/s", bound))
        peak = max(c.peak_bytes for c in (cost, digested, synced))
        rows.append(memory(f"convert to {form}", Cost(cost.seconds, peak), largest))
    for temperature, evict in (("warm", False), ("cold", True)):
        bound = HALF * speed[f"sequential read, {temperature}"]
        for form, artifact in made.items():
            both = [*artifact.files, *source.files]
            cost = best(check_whole, artifact, source, evict=both if evict else ())
            size = bytes_of(artifact) + (bytes_of(source) if artifact is not source else 0)
            what = "G0" if artifact is source else "G0 and I-2 to I-4"
            rows.append(
                Row(f"{what} [{form}], {temperature}", size / cost.seconds / GB, "GB/s", bound)
            )
            rows.append(memory(f"{what} [{form}], {temperature}", cost, largest))
    return rows


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
    cost = best(check_whole, other, one, repeats=1)
    what = f"G0 and I-2 to I-4, {bytes_of(one) / GB:.0f} GB sparse"
    return [
        Row(what, 2 * bytes_of(one) / cost.seconds / GB, "GB/s"),
        memory(what, cost, VOCABULARY * HIDDEN * 2),
    ]


def yardsticks(path: Path, copy: Path) -> list[Row]:
    size = path.stat().st_size
    rows = []
    for temperature, evict in (("warm", []), ("cold", [path])):
        seconds = best(read_through, path, evict=evict).seconds
        rows.append(Row(f"sequential read, {temperature}", size / seconds / GB, "GB/s"))
    seconds = min(timed(hash_through, path) for _ in range(REPEATS))
    rows.append(Row("sha256 of a file", size / seconds / GB, "GB/s"))
    for what, sync in (("cp", False), ("cp, then sync", True)):
        seconds = min(timed(copy_file, path, copy, sync) for _ in range(REPEATS))
        rows.append(Row(what, size / seconds / GB, "GB/s"))
        copy.unlink()
    return rows


def read_through(path: Path) -> None:
    buffer = mmap(-1, 1 << 20)  # at the start of a page, where the system copies to twice as fast
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


def best(
    work: Callable[..., Any], *arguments: Any, evict: Iterable[Path] = (), repeats: int = REPEATS
) -> Cost:
    """Carry out a part in processes of their own; keep the quickest, and the most memory.

    Files to evict leave the page cache before the process is made, also for a yardstick: the host
    of a virtual machine takes memory that is free for a while, and it costs time to get it back.
    """
    costs = []
    for _ in range(repeats):
        for path in evict:
            forget(path)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            costs.append(pool.submit(cost_of, work, *arguments).result())
    return Cost(min(c.seconds for c in costs), max(c.peak_bytes for c in costs))


def cost_of(work: Callable[..., Any], *arguments: Any) -> Cost:
    """Time a part in a process that has its libraries imported, as that of a run has."""
    import gguf  # noqa: F401

    shipped = Path(str(files("pytest_aprqa") / "builtin" / "aprqa-reference"))
    check_artifact(make_artifact(Format.SAFETENSORS, shipped, "benchmark", DigestCache()))
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
