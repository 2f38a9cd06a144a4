"""Hold a certification against the bare engines, and against a process for every test.

    python benchmarks/certify.py -o certify.json
    python benchmarks/certify.py --playbook playbooks/models/aprqa-reference-mvp.playbook.yaml

One run, side by side, formats converted beforehand and no result reused:

* `bare`: what the certification asked of its engines, replayed on transformers and llama.cpp in
  plain code, each engine started once (benchmarks/recording.py, benchmarks/bare.py);
* `process per test`: each question of the run in a process that starts, loads the model, answers and
  ends, as a tool does that calls a command line program for every test. A question over HTTP is
  answered twice in its process, whole and streamed, as it is in a certification. Beside it stands
  what the certification took less its other checks: its start, its loading and its end stay in.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from figures import deliver
from session import certify, timed

HERE = Path(__file__).parent
SMOLLM2 = HERE.parent / "playbooks/models/smollm2-135m-mvp.playbook.yaml"


@dataclass(frozen=True)
class Figures:
    """One playbook at one tier; seconds of wall time."""

    playbook: str
    tier: str
    checks: int
    questions: int
    certification: float
    bare: float
    questions_here: float
    process_per_test: float
    tests_timed: int

    @property
    def over_bare(self) -> float:
        return self.certification / self.bare

    @property
    def faster(self) -> float:
        return self.process_per_test / self.questions_here


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--playbook", type=Path, default=SMOLLM2)
    parser.add_argument("--tiers", nargs="+", default=["quick", "mvp"])
    parser.add_argument(
        "--tests", type=int, default=6, help="processes per test timed for each artifact, at most"
    )
    parser.add_argument("-o", "--output", type=Path, help="write the figures here as JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aprqa-benchmark-") as folder:
        bench = Bench(given.playbook.resolve(), Path(folder), given.tests)
        figures = [bench.measure(tier) for tier in given.tiers]
    content = [asdict(f) | {"over_bare": f.over_bare, "faster": f.faster} for f in figures]
    deliver("Certifying, beside the bare engines", content, table(figures), given.output)


def table(figures: Iterable[Figures]) -> Iterator[str]:
    """Yield the figures as Markdown."""
    yield (
        "| tier | checks | certification, s | bare engines, s | ratio | questions alone, s "
        "| a process per test, s | faster |"
    )
    yield "|---|---:|---:|---:|---:|---:|---:|---:|"
    for f in figures:
        yield (
            f"| {f.tier} | {f.checks} | {f.certification:.1f} | {f.bare:.1f} | {f.over_bare:.2f} "
            f"| {f.questions_here:.1f} | {f.process_per_test:.1f} | {f.faster:.1f} |"
        )


class Bench:
    """Runs one playbook, and what it is compared with."""

    def __init__(self, playbook: Path, folder: Path, tests: int) -> None:
        self._playbook = playbook
        self._folder = folder
        self._tests = tests

    def measure(self, tier: str) -> Figures:
        """Measure one tier."""
        self._certify(tier, "-k", "G0")  # converts
        recording = self._folder / f"{tier}.jsonl"
        certification = self._certify(tier, "-p", "recording", recording=recording)
        records = json.loads(next(self._folder.rglob("evidence.json")).read_text())["records"]
        calls = [json.loads(line) for line in recording.read_text().splitlines()]
        models = self._models(calls)
        bare = sum(self._bare(recording, path, model) for path, model in models.items())
        questions = [r for r in records if _is_question(r)]
        here = certification - sum(r["seconds"] for r in records if not _is_of_questions(r))
        served = sum(r["modality"] == "serve" for r in questions)
        per_test, timed = self._process_per_test(calls, models, len(questions), served)
        return Figures(
            self._playbook.name, tier, len(records), len(questions),
            certification, bare, here, per_test, timed,
        )  # fmt: skip

    def _models(self, calls: list[dict[str, Any]]) -> dict[str, str]:
        """Return for each path an engine had what a bare library reads: an APR has its reference's weights."""
        paths = dict.fromkeys(call["path"] for call in calls if "path" in call)
        reference = next(path for path in paths if Path(path).is_dir())
        return {path: path if path.endswith(".gguf") else reference for path in paths}

    def _bare(self, recording: Path, path: str, model: str) -> float:
        return timed([sys.executable, str(HERE / "bare.py"), str(recording), path, model])

    def _process_per_test(
        self, calls: list[dict[str, Any]], models: dict[str, str], questions: int, served: int
    ) -> tuple[float, int]:
        """Return the seconds of a process per question, from some of each artifact's prompts."""
        asked: list[float] = []
        over_http: list[float] = []
        tokens = [call for call in calls if call["method"] == "tokens"]
        for path, model in models.items():
            own = [call for call in calls if call.get("path") == path]
            batch = max((call["prompts"] for call in own if "prompts" in call), key=len)
            asked += [
                self._alone([{"path": path, "method": "generate", "prompts": [prompt]}], model)
                for prompt in batch[: self._tests]
            ]
            http = [call for call in own if call["method"] == "http"]
            pairs = list(zip(http[::2], http[1::2], strict=True))  # whole and streamed
            over_http += [self._alone([*pair, *tokens], model) for pair in pairs[: self._tests]]
        seconds = mean(asked) * (questions - served) + (mean(over_http) * served if served else 0)
        return seconds, len(asked) + len(over_http)

    def _alone(self, calls: list[dict[str, Any]], model: str) -> float:
        """Return the seconds of a process that loads the model for one question, and ends."""
        recording = self._folder / "alone.jsonl"
        recording.write_text("".join(json.dumps(call) + "\n" for call in calls))
        return self._bare(recording, calls[0]["path"], model)

    def _certify(self, tier: str, *options: str, recording: Path = Path(os.devnull)) -> float:
        anew = ["--aprqa-no-result-cache", "--aprqa-no-early-stop"]
        return certify(
            self._playbook, self._folder / tier, "--tier", tier, *anew, *options,
            PYTHONPATH=HERE, APRQA_RECORDING=recording,
        )  # fmt: skip


def _is_question(record: dict[str, Any]) -> bool:
    return record["kind"] == "scenario" and record["outcome"] != "skipped"


def _is_of_questions(record: dict[str, Any]) -> bool:
    """Whether a check is a question, or loads the engine that answers it."""
    return _is_question(record) or record["subject"] == "G1"


if __name__ == "__main__":
    main()
