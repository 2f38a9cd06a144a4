"""The report as Markdown, for a pull request or a wiki."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from pytest_aprqa.report.content import Item, items, measurements, reproduce, unmeasured
from pytest_aprqa.report.matrix import Tally, gateway_mark, matrix
from pytest_aprqa.report.visible import one_line
from pytest_aprqa.verdict.record import Run

_MARKUP = re.compile(r"([\\`*_{}\[\]<>#!|~&$])")


def render_markdown(run: Run) -> str:
    """Return the report of a run. It depends on the run alone; no text in it is taken as markup."""
    parts = [
        *_verdict(run),
        *_matrix(run),
        *_gateways(run),
        *_score(run),
        *_unmeasured(run),
        *_measurements(run),
        *_items(run),
        *_artifacts(run),
        *_environment(run),
        *_reproduce(run),
    ]
    return "\n".join(parts) + "\n"


def render_summary(run: Run) -> str:
    """Return the verdict of a run with its matrix, gateways and failures, one line each."""
    failed = [item for item in items(run) if item.failed]
    parts = [*_verdict(run), *_matrix(run), *_gateways(run)]
    if failed:
        heads = ["failed check", "outcome", "reason"]
        parts += _table(heads, ([escaped(i.name), i.outcome, escaped(i.reason)] for i in failed))
    return "\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Return text on one line that Markdown shows as it is."""
    return _MARKUP.sub(r"\\\1", one_line(text))


def fenced(text: str) -> list[str]:
    """Return text as a code block that nothing in it can end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", text, fence]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return ["", *(f"| {' | '.join(line)} |" for line in lines), ""]


def _verdict(run: Run) -> Iterator[str]:
    certificate = run.certificate
    about = [f"tier {certificate.tier}", escaped(run.plan.playbook)]
    if certificate.cpu_only:
        about.append("cpu only")
    if run.interrupted:
        about.append("interrupted")
    yield f"# {escaped(certificate.model_id)}: {certificate.status}"
    yield f"\n{', '.join(about)}, finished {escaped(run.finished)}\n"
    yield f"* MQS {certificate.score} of 1000, grade {certificate.grade}, threshold {certificate.threshold}"
    if certificate.reason:
        yield f"* {escaped(certificate.reason)}"
    yield f"* Proven: {escaped(certificate.proven)}"
    if told := certificate.reuse:
        yield f"* Reused: {told}"
    yield f"* Provenance {'verified' if certificate.provenance_verified else 'not verified'}"


def _matrix(run: Run) -> Iterator[str]:
    cells = matrix(run)
    yield "\n## Matrix"
    heads = ["format, backend", *(str(column or "other") for column in cells.columns)]
    yield from _table(
        heads,
        (
            [str(row), *(_cell(cells.cells.get((row, column))) for column in cells.columns)]
            for row in cells.rows
        ),
    )
    if cells.other.planned:
        yield f"Across cells: {_cell(cells.other)}"


def _cell(tally: Tally | None) -> str:
    if tally is None:
        return "not planned"
    return f"{tally.mark.sign} {tally.passed}/{tally.planned} {tally.mark.word}"


def _gateways(run: Run) -> Iterator[str]:
    yield "\n## Gateways"
    yield from _table(
        ["gateway", "outcome", "held in", "reason"],
        (
            [
                result.gateway,
                f"{gateway_mark(result).sign} {result.outcome}",
                f"{result.held}/{result.planned}",
                escaped(result.reason),
            ]
            for result in run.mqs.gateways.values()
        ),
    )


def _score(run: Run) -> Iterator[str]:
    yield "## Score"
    yield from _table(
        ["category", "points", "corroborated", "executed", "skipped", "inconclusive", "not run"],
        (
            [
                score.category,
                f"{score.points:.0f}/{score.maximum}",
                str(score.corroborated),
                f"{score.executed} of {score.planned}",
                str(score.skipped),
                str(score.inconclusive),
                str(score.not_run),
            ]
            for score in run.mqs.categories
        ),
    )
    for penalty in run.mqs.penalties:
        yield f"* -{penalty.points} {escaped(penalty.reason)} {escaped(penalty.check)}".rstrip()


def _unmeasured(run: Run) -> Iterator[str]:
    if found := unmeasured(run):
        yield "\n## Not measured\n"
        yield from (f"* {count} x {escaped(reason)}" for reason, count in found)


def _measurements(run: Run) -> Iterator[str]:
    found = measurements(run)
    if found.rows:
        yield "\n## Throughput and memory"
        heads = ["format, backend", *map(escaped, found.names)]
        yield from _table(
            heads, ([cell, *(v or "not measured" for v in values)] for cell, values in found.rows)
        )


def _items(run: Run) -> Iterator[str]:
    """Every check on one line, and the failed ones in full."""
    found = items(run)
    yield "\n## Checks"
    yield from _table(
        ["check", "category", "outcome", "reason"],
        (
            [
                escaped(item.name),
                escaped(item.category),
                f"{item.mark.sign} {item.outcome}",
                escaped(item.reason),
            ]
            for item in found
        ),
    )
    for item in found:
        if item.failed:
            yield from _failure(item)


def _failure(item: Item) -> Iterator[str]:
    yield f"### {escaped(item.name)}\n"
    yield f"{escaped(item.reason)}\n"
    for title, text in (*item.texts, *(("Attempt", attempt) for attempt in item.attempts)):
        yield f"{title}:\n"
        yield from fenced(text)
        yield ""


def _artifacts(run: Run) -> Iterator[str]:
    yield "\n## Artifacts"
    yield from _table(
        ["format", "file", "sha256"],
        (
            [format, escaped(name), escaped(sha256)]
            for format, artifact in run.artifacts.items()
            for name, sha256 in sorted(artifact.files.items())
        ),
    )
    for format, artifact in run.artifacts.items():
        derived = ", derived: no ground truth of its own" if artifact.derived else ""
        source = f", {escaped(artifact.source)}" if artifact.source else ""
        yield f"* {format}: digest {escaped(artifact.digest)}{source}{derived}"


def _environment(run: Run) -> Iterator[str]:
    machine = run.environment
    packages = ", ".join(f"{name} {version}" for name, version in sorted(machine.packages.items()))
    facts = (
        ("run", f"{run.run_id}, started {run.started}"),
        ("plan", run.plan.digest()),
        ("python", f"{machine.python}, {machine.platform}"),
        ("processor", f"{machine.cpu}, {machine.cores} cores"),
        ("memory", f"{machine.memory / 1024**3:.1f} GiB"),
        ("GPU", machine.gpu or "none"),
        ("engines", "; ".join(machine.engines)),
        ("packages", packages),
    )
    yield "\n## Environment\n"
    yield from (f"* {name}: {escaped(value)}" for name, value in facts)


def _reproduce(run: Run) -> Iterator[str]:
    yield "\n## Reproduce\n"
    yield from fenced("\n".join(reproduce(run)))
