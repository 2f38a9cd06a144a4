"""Hold runs of one playbook against each other: workers, threads, and results that are reused.

    python benchmarks/runs.py -o runs.json

One run, side by side, formats converted beforehand; each certification in a folder of its own:

* `-n 2` against `-n 0`, with one compute thread an engine and with as many as there are;
* a certification of an unchanged model that reuses what was found against one that does not; an
  earlier one is on record for both, so that both hold the checks for regressions.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from figures import deliver
from session import certify

SMOLLM2 = Path(__file__).parents[1] / "playbooks/models/smollm2-135m-mvp.playbook.yaml"
ANEW = "--aprqa-no-result-cache"


@dataclass(frozen=True)
class Certification:
    """One certification: wall time in seconds, and what it said."""

    name: str
    seconds: float
    mqs: int
    outcomes: dict[str, str]
    reused: int


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--playbook", type=Path, default=SMOLLM2)
    parser.add_argument("--tier", default="mvp")
    parser.add_argument("-o", "--output", type=Path, help="write the figures here as JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aprqa-benchmark-") as folder:
        bench = Bench(Path(folder), given.playbook.resolve(), given.tier)
        runs = bench.runs()
    figures = [asdict(run) for run in runs]
    deliver("Workers, threads and reuse", figures, table(runs), given.output)


def table(runs: list[Certification]) -> Iterator[str]:
    """Yield the figures as Markdown."""
    yield "| certification | s | to the one before | MQS | outcomes as before | results reused |"
    yield "|---|---:|---:|---:|---|---:|"
    for alone, beside in zip(runs[::2], runs[1::2], strict=True):
        yield f"| {alone.name} | {alone.seconds:.1f} | | {alone.mqs} | | {alone.reused} |"
        shared = alone.outcomes.keys() & beside.outcomes.keys()
        same = all(alone.outcomes[check] == beside.outcomes[check] for check in shared)
        yield (
            f"| {beside.name} | {beside.seconds:.1f} | {beside.seconds / alone.seconds:.2f} "
            f"| {beside.mqs} | {'yes' if same else 'no'} | {beside.reused} |"
        )


class Bench:
    """Certifies one playbook again and again."""

    def __init__(self, folder: Path, playbook: Path, tier: str) -> None:
        self._folder = folder
        self._playbook = playbook
        self._tier = tier

    def runs(self) -> list[Certification]:
        """Return the certifications, in pairs to compare."""
        self._certify("converting", ANEW, "-k", "G0")
        self._certify("on record", folder="reuse")
        return [
            self._certify("one thread, -n 0", ANEW, "--aprqa-threads", "1"),
            self._certify("one thread, -n 2", ANEW, "--aprqa-threads", "1", "-n", "2"),
            self._certify("all threads, -n 0", ANEW),
            self._certify("shared threads, -n 2", ANEW, "-n", "2"),
            self._certify("nothing changed, all run anew", ANEW, folder="reuse"),
            self._certify("nothing changed", folder="reuse"),
        ]

    def _certify(self, name: str, *options: str, folder: str = "") -> Certification:
        where = self._folder / (folder or name.replace(" ", "-"))
        seconds = certify(
            self._playbook, where, "--tier", self._tier, *options,
            APRQA_CACHE=self._folder / "cache",
        )  # fmt: skip
        evidence = next(where.rglob("evidence*.json"))
        run = json.loads(evidence.read_text("utf-8"))
        outcomes = {record["check"]: record["outcome"] for record in run["records"]}
        certificate = run["certificate"]
        return Certification(
            name, seconds, certificate["score"], outcomes, len(certificate["reused"])
        )


if __name__ == "__main__":
    main()
