"""The summary on a terminal."""

from __future__ import annotations

import pytest

from pytest_aprqa.report.matrix import Mark, matrix
from pytest_aprqa.report.terminal import Style, plain, summary
from pytest_aprqa.words import Backend, Cell, Format, Modality, Outcome, Status

EVIDENCE = "certifications/tiny/evidence.json"
HOSTILE = "<script>\x1b[31m\x00]]>\u202e\n-----"


def shown(run, **options) -> list[str]:
    return plain(summary(run, evidence=EVIDENCE, **options)).splitlines()


def test_the_summary_of_a_blocked_run(run_with):
    assert shown(run_with()) == [
        "org/tiny  tier mvp, tiny-mvp.playbook.yaml",
        "                 run    chat   other",
        "safetensors-cpu  ✓ 1/1  ✓ 1/1  ✓ 1/1",
        "safetensors-gpu  ? 0/1  ? 0/1  ? 0/1",
        "gguf-cpu         ✗ 0/1  ✗ 0/1  ✓ 1/1",
        "gguf-gpu         ? 0/1  ? 0/1  ? 0/1",
        "across cells  ✗ 1/2 timed out",
        "Gateways   G0 ✓  G1 ✓  G2 ✓  G3 ✓  G4 ✓",
        "Score      MQS 561/1000, grade C+ (78.2/100)",
        "           QUAL  100/200 ██████████░░░░░░░░░░ 2 of 4, 4 without a verdict",
        "           PERF  150/150 ████████████████████ 2 of 2, 2 without a verdict",
        "           STAB    0/200 ░░░░░░░░░░░░░░░░░░░░ 0 of 1",
        "           COMP  150/150 ████████████████████ 1 of 1",
        "           -10 timeout: long",
        "Unmeasured 4 x no GPU: CUDA is not available",
        "           2 x not run",
        "Proven     2/4 over 1 distinct prompt (0 everywhere): pass rate >= 0.000 at 95 %",
        f"Evidence   {EVIDENCE}",
        "Status     BLOCKED: MQS 561 is below 700: 3 checks failed, the first",
        "           sum[gguf-cpu-run]: seen in sum[gguf-cpu-run]",
    ]


def test_a_skipped_check_never_looks_like_a_pass(run_with):
    cells = matrix(run_with(gguf=Outcome.SKIPPED)).cells
    tally = cells[Cell(Format.GGUF, Backend.CPU), Modality.RUN]
    assert (tally.mark, tally.passed, tally.planned) == (Mark.OPEN, 0, 1)


@pytest.mark.parametrize(
    ("outcome", "mark", "text"),
    [
        (Outcome.CORROBORATED, Mark.PASSED, "✓ 1/1"),
        (Outcome.FALSIFIED, Mark.FAILED, "✗ 0/1"),
        (Outcome.CRASHED, Mark.CRASHED, "✗ 0/1 crashed"),
        (Outcome.TIMEOUT, Mark.TIMEOUT, "✗ 0/1 timed out"),
        (Outcome.INCONCLUSIVE, Mark.OPEN, "? 0/1"),
    ],
)
def test_every_ending_has_its_mark(run_with, outcome, mark, text):
    run = run_with(gguf=outcome)
    assert matrix(run).cells[Cell(Format.GGUF, Backend.CPU), Modality.RUN].mark is mark
    [line] = [line for line in shown(run, width=120) if line.startswith("gguf-cpu")]
    assert line.split("  ", 1)[1].strip().startswith(text)


def test_failures_are_red_and_passes_green(run_with):
    lines = summary(run_with(), evidence=EVIDENCE)
    [row] = [line for line in lines if line[0].text.startswith("gguf-cpu")]
    assert [span.style for span in row] == [Style.PLAIN, Style.BAD, Style.BAD, Style.GOOD]
    assert Style.BAD.markup == {"red": True, "bold": True}


def test_a_terminal_without_unicode_gets_ascii_only(run_with):
    text = plain(summary(run_with(text=" ü"), evidence="ü", unicode=False))
    assert text.isascii()
    assert "FAIL 0/1" in text
    assert "ok 1/1" in text


@pytest.mark.parametrize("width", [1, 40, 60, 80, 200])
def test_prose_keeps_to_the_width(run_with, width):
    run = run_with(text=" and so on" * 20)
    lines = shown(run, width=width)
    status = next(index for index, line in enumerate(lines) if line.startswith("Status"))
    assert len(lines) - status > 1
    assert all(len(line) <= max(width, 40) for line in lines[status:])


def test_nothing_a_model_says_reaches_the_terminal_raw(run_with):
    lines = shown(run_with(text=HOSTILE))
    assert not any(character in line for line in lines for character in "\x1b\x00\u202e")
    assert len([line for line in lines if line.startswith("-----")]) == 0


def test_a_run_that_could_not_be_made_says_why(run_with):
    lines = shown(run_with(failure="the model org/tiny was not found; give --model-path"))
    assert "Status     FAIL: the model org/tiny was not found; give --model-path" in lines


def test_a_run_with_gaps_says_when_its_score_does_not_suffice(run_with):
    run = run_with(gguf=Outcome.SKIPPED)
    assert run.certificate.status is Status.PARTIAL
    strict = run.certificate.model_copy(update={"threshold": 900})
    lines = shown(run.model_copy(update={"certificate": strict}))
    assert lines[-1].strip() == "MQS 704 is below the 900 this run needs"


def test_an_interrupted_run_is_marked(run_with):
    assert "interrupted" in shown(run_with(interrupted=True))[0]
