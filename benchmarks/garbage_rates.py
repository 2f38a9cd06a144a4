"""Measure how often the garbage detector errs, kind by kind, and write docs/garbage.md.

    python -m benchmarks.garbage_rates docs/garbage.md

Sound text: what no table was made from of the standard library, what packages say of themselves,
our own documentation, and `tests/judge/sound_texts.json`. Garbage: what broken models said, in
`tests/judge/broken_output.json` (`benchmarks/garbage_output.py` makes it).
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sysconfig
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from benchmarks.garbage_output import GENERATED
from pytest_aprqa.judge.garbage import GarbageKind, GarbageReport, inspect_text
from pytest_aprqa.judge.garbage_salad import STRETCH, least_likely
from pytest_aprqa.judge.statistics import clopper_pearson
from pytest_aprqa.observation import FinishReason

ROOT = Path(__file__).parents[1]
CORPUS = ROOT / "tests/judge"
SEED = 20260201
WINDOWS = 2_000
BLOCKS = 200
Entry = Mapping[str, Any]
_TABLE = re.compile(r"(?m)(?:^\|.*\|[ \t]*\n){3,12}")
_LIST = re.compile(r"(?m)(?:^(?:[-*]|\d+\.) \S.*\n){3,12}")


def in_training_half(name: str) -> bool:
    """Whether a file of the standard library is for the salad table; the rest is for this."""
    return zlib.crc32(name.encode()) % 2 == 0


def code() -> Iterator[str]:
    """Yield the sources of the half of the standard library that no table was made from."""
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if "site-packages" not in name and not in_training_half(name):
            yield path.read_text(encoding="utf-8", errors="ignore")


def prose() -> Iterator[str]:
    """Yield what packages say of themselves, and their licences."""
    for distribution in distributions():  # the description in METADATA is the README
        licences = distribution.metadata.get_all("License-File") or []
        for name in ["METADATA", *(f"licenses/{licence}" for licence in licences)]:
            if text := distribution.read_text(name):
                yield text


def documentation() -> Iterator[str]:
    """Yield our own pages and those of packages."""
    for path in sorted((ROOT / "docs").glob("*.md")):
        if path.name != "garbage.md":
            yield path.read_text(encoding="utf-8")
    yield from prose()


def windows(documents: Iterable[str], chance: random.Random, count: int) -> list[str]:
    """Return windows of 60 to 480 characters that begin with a word."""
    found: list[str] = []
    long = [text for text in documents if len(text) > 200]
    while len(found) < count:
        text = chance.choice(long)
        size = chance.choice((60, 120, 240, 480))
        start = text.rfind(" ", 0, chance.randrange(max(1, len(text) - size))) + 1
        window = text[start : start + size]
        if len(window.strip()) > 20:
            found.append(window)
    return found


def blocks(pattern: re.Pattern[str], chance: random.Random) -> list[str]:
    """Return what a pattern finds in documentation, each once, at most BLOCKS of it."""
    found = sorted({m.group() for text in documentation() for m in pattern.finditer(text)})
    return chance.sample(found, min(BLOCKS, len(found)))


def records(chance: random.Random) -> list[str]:
    """Return JSON of our own files, one value each, cut at 480 characters."""
    schema = json.loads((ROOT / "playbooks/evidence.schema.json").read_text(encoding="utf-8"))
    table = json.loads((ROOT / "certifications/DETECTION.json").read_text(encoding="utf-8"))
    texts = sorted({json.dumps(value, indent=2)[:480] for value in _values([schema, table])})
    return chance.sample(texts, min(BLOCKS, len(texts)))


def _values(value: Any) -> Iterator[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in inner:
        if isinstance(part, dict | list) and len(part) > 1:
            yield part
        yield from _values(part)


def sound_texts() -> dict[str, list[str]]:
    """Return sound texts by kind."""
    chance = random.Random(SEED)
    own = json.loads((CORPUS / "sound_texts.json").read_text(encoding="utf-8"))
    return {
        "code": windows(code(), chance, WINDOWS),
        "prose": windows(prose(), chance, WINDOWS),
        "tables": blocks(_TABLE, chance),
        "lists": blocks(_LIST, chance),
        "JSON": records(chance),
        **own,
    }


def broken_output() -> list[Entry]:
    """Return what broken models said: `model`, `fault`, `finish`, `text`, and `nats` by token."""
    return _entries("broken_output.json")


def sound_output() -> list[Entry]:
    """Return what sound conversions said, likewise; `fault` is how they were quantised."""
    return _entries("sound_output.json")


def _entries(name: str) -> list[Entry]:
    found: list[Entry] = json.loads((CORPUS / name).read_text(encoding="utf-8"))
    return found


def report_on(entry: Entry, *, reference: bool) -> GarbageReport:
    """Return what is found in output, with or without the sound model's log-probabilities."""
    logprobs = entry["nats"] if reference else None
    finish = FinishReason(entry["finish"])
    return inspect_text(entry["text"], finish=finish, logprobs=logprobs)


def is_found(entry: Entry, *, reference: bool) -> bool:
    """Whether output is taken for garbage."""
    return report_on(entry, reference=reference).is_garbage


def alarms(texts: Iterable[str]) -> list[str]:
    """Return the sound texts that are taken for garbage."""
    return [text for text in texts if inspect_text(text).is_garbage]


def _row(name: str, wrong: Sequence[int], total: int) -> str:
    cells = []
    for count in wrong:
        interval = clopper_pearson(count, total)
        rate = f"{count / total:.2%} ({interval.low:.2%} – {interval.high:.2%})"
        cells.append(f"{count} | {rate}")
    return f"| {name} | {total} | {' | '.join(cells)} |"


def page() -> str:
    """Return docs/garbage.md."""
    sound = sound_texts()
    wrong = {kind: len(alarms(texts)) for kind, texts in sound.items()}
    good = [_row(kind, [wrong[kind]], len(texts)) for kind, texts in sound.items()]
    good.append(_row("**all**", [sum(wrong.values())], sum(map(len, sound.values()))))
    bad = [_missed(name, entries) for name, entries in _by_origin(broken_output())]
    converted = [_alarmed(name, entries) for name, entries in _by_origin(sound_output())]
    return PAGE.format(
        good="\n".join(good),
        bad="\n".join(bad),
        converted="\n".join(converted),
        generated=GENERATED,
        stretch=STRETCH,
    )


def _by_origin(entries: Sequence[Entry]) -> Iterator[tuple[str, Sequence[Entry]]]:
    """Yield output by the model and what was done to it, and then all of it."""
    places = dict.fromkeys((entry["model"], entry["fault"]) for entry in entries)
    for place in places:
        yield ", ".join(place), [e for e in entries if (e["model"], e["fault"]) == place]
    yield "**all**", entries


def _missed(name: str, entries: Sequence[Entry]) -> str:
    counts = [sum(not is_found(e, reference=told) for e in entries) for told in (False, True)]
    return _row(name, counts, len(entries))


def _alarmed(name: str, entries: Sequence[Entry]) -> str:
    kinds = [report_on(entry, reference=True).kinds for entry in entries]
    counts = [
        sum(kind in one for one in kinds) for kind in (GarbageKind.REPETITIVE, GarbageKind.SALAD)
    ]
    least = min(least_likely(e["nats"])[0] for e in entries)
    return f"{_row(name, counts, len(entries))} {least:.2f} |"


PAGE = """\
# How often the garbage detector errs

Made by `python -m benchmarks.garbage_rates docs/garbage.md`. Intervals are those of Clopper and Pearson at 95 %.

## False alarms on sound text

Code is from the half of the standard library that the salad table was not made from; prose, tables and lists are what the installed
packages and these pages say; JSON is from our own files; the rest is `tests/judge/sound_texts.json`. Other packages give other windows,
so counts differ a little elsewhere.

| kind | texts | false alarms | rate |
| --- | --- | --- | --- |
{good}

The total is what G4 takes into account (`ERROR_RATES` in `pytest_aprqa/judge/garbage.py`): it falsifies when there is more garbage than the
upper bound of this rate explains.

## Misses on the output of broken models

The faults of `apr-qa falsify` were seeded into sound models, and llama.cpp answered with what became of them
(`benchmarks/garbage_output.py`). An answer is in this table when the sound model gives its first tokens less than -4 nats on average, a
limit that sound text stays above. Many of these answers are a word or two, or break in one place only: by the text alone nothing can
be said of them. With the reference's log-probabilities, as G4 has them for every conversion of a sound reference, nearly all are found.
That is no surprise: the choice was made by the same likelihood, over the first tokens, that the detector looks for in every stretch of
an answer. What it costs is in the last table. G4 asks six questions, so it does not need every one.

| model, fault | answers | missed by text alone | rate | missed with the reference | rate |
| --- | --- | --- | --- | --- | --- |
{bad}

## False alarms on the output of sound conversions

The same models, converted soundly and quantised as roughly as one may, answered the same questions and those of {generated} generated ones
that are short enough; each answer counts once. A small model falls into loops, sound or not, and that they are found is no false
alarm; accused are the answers that are taken for a salad for what the unconverted model makes of them. The least likely stretch is the
lowest mean of its log-probabilities, in nats, that any {stretch} tokens in a row have.

| model, quantisation | answers | loops | rate | accused | rate | least likely stretch |
| --- | --- | --- | --- | --- | --- | --- |
{converted}
"""


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path)
    parser.parse_args().page.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
