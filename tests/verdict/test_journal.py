"""The journal: nothing is lost, nothing is changed unseen."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.journal import Journal, JournalError, RunHeader, read_journal
from pytest_aprqa.verdict.record import RecordError
from pytest_aprqa.words import Gateway

WITHOUT_DIGEST = re.compile(rb'^\{"digest":"[0-9a-f]{64}",')
STARTED = "2026-01-02T03:04:05.000+00:00"


@pytest.fixture
def told(story):
    return story(QUAL="CF", **dict.fromkeys(("G1", "G2", "G3", "G4"), ""))


@pytest.fixture
def header(told) -> RunHeader:
    return RunHeader.of("run-1", STARTED, told.plan)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "model" / "evidence.jsonl"


@pytest.fixture
def written(path, header, told) -> Path:
    with Journal(path, header) as journal:
        for record in told.records:
            journal.append(record)
    return path


def test_what_was_written_is_read_back(written, header, told):
    content = read_journal(written)
    assert content.header == header
    assert content.records == told.records
    assert not content.torn_tail
    assert content.broken_at is None
    assert content.size == written.stat().st_size


def test_a_record_is_readable_as_soon_as_it_is_appended(path, header, told):
    with Journal(path, header) as journal:
        for number, record in enumerate(told.records, start=1):
            journal.append(record)
            assert len(read_journal(path).records) == number


def test_every_line_is_a_json_object_of_ascii(written):
    for line in written.read_bytes().splitlines():
        assert isinstance(json.loads(line.decode("ascii")), dict)


def test_a_journal_cut_at_any_byte_yields_the_whole_lines_before_the_cut(tmp_path, story):
    told = story(QUAL="CF", **dict.fromkeys(Gateway, ""))
    written = tmp_path / "evidence.jsonl"
    with Journal(written, RunHeader.of("run-1", STARTED, told.plan)) as journal:
        for record in told.records:
            journal.append(record)
    content = written.read_bytes()
    ends = [index for index, byte in enumerate(content) if byte == ord("\n")]
    for cut in range(len(content)):
        written.write_bytes(content[:cut])
        found = read_journal(written)
        whole = sum(end < cut for end in ends)
        assert found.broken_at is None
        assert found.records == told.records[: max(0, whole - 1)]
        assert (found.header is None) == (whole == 0)
        assert found.torn_tail == (cut > 0 and cut - 1 not in ends)


def test_a_tail_of_zeros_as_after_a_power_cut_is_dropped(written, told):
    written.write_bytes(written.read_bytes() + bytes(512))
    found = read_journal(written)
    assert found.torn_tail
    assert found.records == told.records


def test_a_last_line_that_is_whole_but_no_record_is_dropped(written, told):
    written.write_bytes(written.read_bytes() + b"garbage\n")
    found = read_journal(written)
    assert found.torn_tail
    assert found.records == told.records


@pytest.mark.parametrize("torn", [False, True])
def test_a_changed_line_breaks_the_chain(written, told, torn):
    lines = written.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"corroborated"', b'"falsified"')
    written.write_bytes(b"".join(lines) + b"{" * torn)
    found = read_journal(written)
    assert found.broken_at == 3
    assert found.records == told.records[:1]


def test_a_change_that_leaves_the_last_line_whole_is_found(written, header, told):
    content = written.read_bytes()
    begin = content.rindex(b"\n", 0, -1)
    changed = content[begin:].replace(b'"falsified"', b'"corroborated"')
    assert changed != content[begin:]
    written.write_bytes(content[:begin] + changed)
    found = read_journal(written)
    assert (found.broken_at, found.torn_tail) == (len(told.records) + 1, False)
    assert found.records == told.records[:-1]
    with pytest.raises(
        JournalError, match=f"cannot be resumed: line {found.broken_at} was changed"
    ):
        Journal(written, header, resume=True)


def test_a_changed_header_without_records_is_found(path, header):
    Journal(path, header).close()
    path.write_bytes(path.read_bytes().replace(b"run-1", b"run-2", 1))
    found = read_journal(path)
    assert (found.broken_at, found.breach[:6]) == (1, "line 1")
    with pytest.raises(JournalError, match="line 1 was changed"):
        Journal(path, header, resume=True)


@pytest.mark.parametrize("number", [0, 1, -1])
def test_a_line_that_lost_its_digest_is_a_changed_one(written, number):
    lines = written.read_bytes().splitlines(keepends=True)
    lines[number] = WITHOUT_DIGEST.sub(b"{", lines[number])
    written.write_bytes(b"".join(lines))
    assert read_journal(written).broken_at == (number % len(lines)) + 1 + (number == 0)


def test_a_journal_of_before_lines_had_digests_is_read_and_resumed(written, header, told):
    head, lines = "", []
    for line in written.read_bytes().splitlines():
        plain = json.loads(WITHOUT_DIGEST.sub(b"{", line))
        plain.update({"previous": head} if head else {})
        lines.append(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode())
        head = hashlib.sha256(lines[-1]).hexdigest()
    written.write_bytes(b"\n".join(lines[:-1]) + b"\n")
    with Journal(written, header, resume=True) as journal:
        assert journal.records == told.records[:-1]
        journal.append(told.records[-1])
    assert read_journal(written).records == told.records


def test_a_removed_line_breaks_the_chain(written):
    lines = written.read_bytes().splitlines(keepends=True)
    written.write_bytes(b"".join(lines[:2] + lines[3:]))
    assert read_journal(written).broken_at == 3


def test_a_line_that_is_no_record_in_the_middle_breaks_the_chain(written):
    lines = written.read_bytes().splitlines(keepends=True)
    written.write_bytes(b"".join([*lines[:2], b"garbage\n", *lines[2:]]))
    assert read_journal(written).broken_at == 3


def test_a_changed_header_breaks_the_chain(written):
    content = written.read_bytes()
    written.write_bytes(content.replace(b"run-1", b"run-2", 1))
    assert read_journal(written).broken_at == 1


def test_a_second_header_breaks_the_chain(written):
    lines = written.read_bytes().splitlines(keepends=True)
    written.write_bytes(b"".join([*lines, lines[0]]))
    assert read_journal(written).broken_at == len(lines) + 1


def test_a_file_without_header_is_broken_at_its_first_line(written):
    lines = written.read_bytes().splitlines(keepends=True)
    written.write_bytes(b"".join(lines[1:]))
    assert read_journal(written).broken_at == 1


def test_an_empty_file_has_no_header(tmp_path):
    empty = tmp_path / "evidence.jsonl"
    empty.touch()
    assert read_journal(empty).header is None


def test_a_missing_journal_is_one_sentence(tmp_path):
    with pytest.raises(RecordError, match=r"nothing.jsonl cannot be read: No such file"):
        read_journal(tmp_path / "nothing.jsonl")


def test_another_schema_version_is_named(written):
    content = written.read_bytes().replace(b'"schema_version":"1"', b'"schema_version":"7"', 1)
    written.write_bytes(content)
    with pytest.raises(RecordError, match=r"line 1 has schema version '7'.*reads '1'"):
        read_journal(written)


@pytest.mark.parametrize("lost", [0, 1, 40])
def test_a_run_resumes_after_its_last_whole_record(written, header, told, lost):
    content = written.read_bytes()
    written.write_bytes(content[: len(content) - lost])
    with Journal(written, header, resume=True) as journal:
        kept = len(journal.records)
        assert journal.records == told.records[:kept]
        for record in told.records[kept:]:
            journal.append(record)
    found = read_journal(written)
    assert found.records == told.records
    assert found.broken_at is None


def test_a_resumed_run_keeps_its_first_header(written, header, told):
    later = RunHeader.of("run-2", STARTED, told.plan)
    with Journal(written, later, resume=True) as journal:
        assert journal.header == header


def test_resuming_without_an_earlier_journal_starts_one(path, header):
    with Journal(path, header, resume=True) as journal:
        assert journal.records == ()
    assert read_journal(path).header == header


def test_resuming_a_journal_whose_header_was_torn_starts_anew(written, header):
    written.write_bytes(written.read_bytes()[:30])
    with Journal(written, header, resume=True) as journal:
        assert journal.records == ()
    assert read_journal(written).header == header


def test_a_run_of_another_plan_is_not_resumed(written, story):
    other = story(QUAL="C").plan
    with pytest.raises(JournalError, match=r"another plan \(tiny.playbook.yaml, tier mvp\)"):
        Journal(written, RunHeader.of("run-2", STARTED, other), resume=True)


def test_a_changed_journal_is_not_resumed_and_stays_as_it_is(written, header):
    content = written.read_bytes().replace(b'"corroborated"', b'"falsified"', 1)
    written.write_bytes(content)
    with pytest.raises(
        JournalError, match="line 2 was changed, or does not follow from the line before"
    ):
        Journal(written, header, resume=True)
    assert written.read_bytes() == content


def test_a_new_run_keeps_the_journal_of_the_one_before(written, header):
    before = written.read_bytes()
    Journal(written, header).close()
    assert written.with_name("evidence.jsonl.previous").read_bytes() == before
    assert read_journal(written).records == ()


def test_a_second_writer_is_refused_and_changes_nothing(path, header, told):
    with Journal(path, header) as journal:
        journal.append(told.records[0])
        with pytest.raises(JournalError, match=r"another run is writing to .*model: wait"):
            Journal(path, header)
        with pytest.raises(JournalError, match="another run is writing"):
            Journal(path, header, resume=True)
        journal.append(told.records[1])
    assert read_journal(path).records == told.records[:2]


def test_after_a_refusal_the_folder_is_free_again(written, header, story):
    other = RunHeader.of("run-2", STARTED, story(QUAL="C").plan)
    with pytest.raises(JournalError):
        Journal(written, other, resume=True)
    Journal(written, header, resume=True).close()


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path, header):
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match=r"cannot write .*evidence.jsonl: .*"):
        Journal(tmp_path / "file" / "evidence.jsonl", header)


@settings(deadline=None)
@given(answer=st.text() | st.sampled_from(["\x00\x1b[31m", "\u2028\u2029", "a\nb\r\n", "😀"]))
def test_no_answer_breaks_a_line(tmp_path_factory, story, answer):
    told = story(QUAL="C")
    header = RunHeader.of("run-1", STARTED, told.plan)
    path = tmp_path_factory.mktemp("journal") / "evidence.jsonl"
    record = told.records[0].model_copy(
        update={"answer": answer, "observation": {"text": answer, "lone": "\ud800"}}
    )
    with Journal(path, header) as journal:
        journal.append(record)
    assert read_journal(path).records == (record,)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 0.1, -0.0, 1e300])
def test_every_float_of_a_metric_survives(path, header, told, value):
    record = told.records[0].model_copy(update={"metrics": {"x": value}})
    with Journal(path, header) as journal:
        journal.append(record)
    [read] = read_journal(path).records
    assert repr(read.metrics["x"]) == repr(value + 0.0)


WRITER = """
import resource, sys
from pathlib import Path
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.journal import Journal, JournalError, read_journal

path = Path(sys.argv[1])
before = read_journal(path)
record = Evidence.model_validate_json(sys.argv[2])
limit = int(sys.argv[3])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
with Journal(path, before.header, resume=True) as journal:
    try:
        while True:
            journal.append(record)
    except JournalError as error:
        print(error)
"""


def write_forever(path: Path, record: Evidence, limit: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), record.model_dump_json(), str(limit)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_full_disk_costs_only_the_record_in_flight(written, told, header):
    process = write_forever(written, told.records[0], limit=written.stat().st_size + 5000)
    message, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "what was written before is whole" in message
    found = read_journal(written)
    assert not found.torn_tail
    assert found.broken_at is None
    assert len(found.records) > len(told.records)
    with Journal(written, header, resume=True) as journal:
        journal.append(told.records[0])


@pytest.mark.parametrize("finish", [Journal.settle, Journal.close])
def test_a_disk_that_fails_once_it_was_written_to_costs_only_that_record(
    written, told, header, finish, monkeypatch
):
    before = written.read_bytes()
    with Journal(written, header, resume=True) as journal:
        monkeypatch.setattr("pytest_aprqa.verdict.journal._flush", broken_disk)
        journal.append(told.records[0])
        with pytest.raises(JournalError, match="what was written before is whole"):
            finish(journal)
    assert written.read_bytes() == before
    monkeypatch.undo()
    with Journal(written, header, resume=True) as journal:
        journal.append(told.records[0])
    assert read_journal(written).broken_at is None


def broken_disk(descriptor: int) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_killed_run_costs_at_most_the_record_in_flight(written, told, header):
    process = write_forever(written, told.records[0], limit=0)
    while len(read_journal(written).records) < len(told.records) + 5:
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    found = read_journal(written)
    assert found.broken_at is None
    with Journal(written, header, resume=True) as journal:
        assert len(journal.records) == len(found.records) >= len(told.records) + 5
