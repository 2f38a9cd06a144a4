"""A run in GitHub Actions: the summary of a job, and annotations at lines of the playbook.

Formats: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pytest_aprqa.report.markdown import render_summary
from pytest_aprqa.report.visible import one_line
from pytest_aprqa.verdict.record import Run

MOST_ANNOTATIONS = 10
"""GitHub shows no more errors of one step."""

MOST_BYTES = 1_000_000
"""GitHub drops the summary of a step that is longer than 1 MiB."""

_CUT = "\n\n(cut: the report has it all)\n"


def job_summary(run: Run) -> str:
    """Return the Markdown that a job shows of a run."""
    text = render_summary(run)
    if len(content := text.encode("utf-8")) <= MOST_BYTES:
        return text
    return content[: MOST_BYTES - len(_CUT)].decode("utf-8", "ignore") + _CUT


def workflow_commands(run: Run, playbook: str, lines: Mapping[str, int]) -> Iterator[str]:
    """Yield a workflow command for each failed check, and one for a certificate that fails.

    Args:
        run: a concluded run.
        playbook: its path below the root of the checkout.
        lines: 0-based line in the playbook by check.
    """
    failed = [record for record in run.records if record.outcome.fails]
    for record in failed[: MOST_ANNOTATIONS - 1]:
        line = lines.get(record.check, 0) + 1
        text = f"{record.outcome}: {one_line(record.reason)}"
        yield _command("error", playbook, line, one_line(record.check), text)
    certificate = run.certificate
    left = len(failed) - (MOST_ANNOTATIONS - 1)
    more = f" ({left} more failed checks)" if left > 0 else ""
    verdict = f"{certificate.status}, MQS {certificate.score} of 1000"
    reason = f": {one_line(certificate.reason)}" if certificate.reason else ""
    level = "notice" if certificate.exit_ok else "error"
    title = one_line(certificate.model_id)
    yield _command(level, playbook, 1, title, f"{verdict}{reason}{more}")


def _command(level: str, file: str, line: int, title: str, text: str) -> str:
    return f"::{level} file={_property(file)},line={line},title={_property(title)}::{_data(text)}"


def _data(text: str) -> str:
    """Escape what would end the command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
