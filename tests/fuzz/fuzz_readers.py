"""Feed every reader of model files mutated inputs, guided by coverage, and say what came of it.

    python tests/fuzz/fuzz_readers.py                            # every reader, 200,000 inputs each
    python tests/fuzz/fuzz_readers.py gguf template --runs 5000 --seed 7

A finding is an exception that a reader does not promise, more than a second of computing, more than
200 MB of memory, or a file opened outside the model's folder; its input is kept in `--findings` and
belongs into tests/fuzz/found. The same count and seed give the same inputs.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RUNS = 200_000
SEED = 20261124
SECONDS = 1.0
"""Of computing that one input may take."""

MEMORY = 200 << 20
"""Bytes that may be allocated beyond what is held before the first input."""

HANG = 20
"""Seconds after which an input that does not return is ended from outside."""


@dataclass
class Count:
    """What has been fed to a reader so far."""

    reader: str
    seed: int
    inputs: int = 0
    refused: int = 0
    slowest: float = 0.0
    seconds: float = 0.0
    grown: int = 0


class FindingError(Exception):
    """A reader did what it must not do; not an error any reader may raise."""


def fuzz(reader: str, runs: int, seed: int, findings: Path, report: Path) -> None:
    """Feed one reader in this process, and never return."""
    import atheris

    sys.path.insert(0, str(HERE))
    with atheris.instrument_imports(include=["pytest_aprqa.artifact", "jinja2"]):
        import readers
    work = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    target = readers.READERS[reader](work)
    corpus = work / "corpus"
    corpus.mkdir()
    for number, sample in enumerate(target.samples()):
        (corpus / f"{number:03}").write_bytes(sample)
        target.feed(sample)
    inside = False
    count = Count(reader, seed)
    before = _allocated()
    began = time.monotonic()
    resource.setrlimit(resource.RLIMIT_DATA, (before + MEMORY, before + MEMORY))

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and inside and not _may_be_opened(arguments[0], work):
            raise FindingError(f"opened {arguments[0]!r}, which is outside the model's folder")

    def feed(data: bytes) -> None:
        nonlocal inside
        if count.inputs >= runs:
            _finish(count, before, began, work, report)
        count.inputs += 1
        used = time.process_time()
        inside = True
        try:
            count.refused += not target.feed(data)
        finally:
            inside = False
        used = time.process_time() - used
        count.slowest = max(count.slowest, used)
        if used > SECONDS:
            raise FindingError(f"computed for {used:.2f} s")

    sys.addaudithook(watch)
    arguments = [sys.argv[0], f"-seed={seed}", f"-timeout={HANG}", "-rss_limit_mb=0"]
    arguments += [f"-max_len={target.longest}", f"-artifact_prefix={findings}/{reader}-"]
    arguments += ["-print_funcs=0", "-verbosity=0", str(corpus)]
    options = {"custom_mutator": target.mutate} if target.mutate else {}
    atheris.Setup(arguments, feed, **options)
    atheris.Fuzz()


def _may_be_opened(path: object, work: Path) -> bool:
    """Whether a path lies in the model's folder, or is Python's own (modules on first use)."""
    if not isinstance(path, str | bytes | os.PathLike):
        return True  # an open descriptor
    place = os.fspath(path)
    place = place.decode(errors="replace") if isinstance(place, bytes) else place
    own = (str(work), sys.prefix, sys.base_prefix, str(HERE.parents[1] / "pytest_aprqa"))
    return os.path.realpath(place).startswith(own) or place.startswith("/proc/")


def _allocated() -> int:
    """Return the bytes of private writable memory, which RLIMIT_DATA bounds."""
    status = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmData:")) * 1024


def _finish(count: Count, before: int, began: float, work: Path, report: Path) -> None:
    import shutil

    count.seconds = round(time.monotonic() - began, 1)
    count.grown = _allocated() - before
    report.write_text(json.dumps(asdict(count)))
    shutil.rmtree(work, ignore_errors=True)
    os._exit(0)


def main() -> int:
    """Fuzz each reader in a process of its own; return 1 when there was a finding."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("readers", nargs="*", help="default: all")
    parser.add_argument("--runs", type=int, default=RUNS, help="inputs for each reader")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    parser.add_argument("--report", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.report:
        fuzz(options.readers[0], options.runs, options.seed, options.findings, options.report)
    sys.path.insert(0, str(HERE))
    import readers

    unknown = set(options.readers) - set(readers.READERS)
    if unknown:
        parser.error(f"there is no reader {min(unknown)}; there are {', '.join(readers.READERS)}")
    options.findings.mkdir(parents=True, exist_ok=True)
    print(f"{'reader':12} {'inputs':>8} {'refused':>8} {'slowest':>9} {'memory':>9} {'time':>7}")
    failed = [name for name in options.readers or readers.READERS if not _one(name, options)]
    print(f"seed {options.seed}; " + (f"findings: {', '.join(failed)}" if failed else "no finding"))
    return 1 if failed else 0


def _one(reader: str, options: argparse.Namespace) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [sys.executable, __file__, reader, "--report", str(report)]
        command += ["--runs", str(options.runs), "--seed", str(options.seed)]
        command += ["--findings", str(options.findings)]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False
        )
        if not report.is_file():
            log = options.findings / f"{reader}.log"
            log.write_text(done.stdout + done.stderr)
            print(f"{reader:12} a finding; its input and {log.name} are in {options.findings}")
            return False
        count = Count(**json.loads(report.read_text()))
    print(
        f"{count.reader:12} {count.inputs:8} {count.refused:8} {count.slowest:7.3f} s "
        f"{count.grown / 1e6:6.1f} MB {count.seconds:5.0f} s",
        flush=True,
    )
    return True


if __name__ == "__main__":
    sys.exit(main())
