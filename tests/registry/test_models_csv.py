"""models.csv: one row changes, everything else stays byte for byte."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_aprqa.playbook.find import playbooks_in
from pytest_aprqa.playbook.load import load_playbook
from pytest_aprqa.registry.models_csv import (
    COLUMNS,
    RegistryError,
    RegistryRow,
    read_rows,
    register,
    update_row,
)
from pytest_aprqa.registry.readme import parameter_count
from pytest_aprqa.words import SizeCategory

SHIPPED = Path(__file__).parents[2] / "certifications" / "models.csv"
HEADER = ",".join(COLUMNS)


def test_rows_are_read_with_unknown_values_as_they_are(registry):
    small, odd, last = read_rows(registry)
    assert (small.model_id, small.status, small.last_certified) == ("org/small", "PENDING", "")
    assert (odd.family, odd.size_category, odd.status) == ("a, b", "gigantic", "WITHDRAWN")
    assert (odd.mqs_score, odd.g1, odd.provenance_verified) == ("nine", "TRUE", "maybe")
    assert last.tps_st_gpu == "6"


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("end", [True, False])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_an_update_changes_no_byte_of_another_row(registry, newline, end, mark):
    lines = (mark + registry.read_text(encoding="utf-8")).split("\n")[:-1]
    registry.write_bytes((newline.join(lines) + newline * end).encode())
    before = registry.read_bytes().split(newline.encode())
    update_row(registry, RegistryRow("org/odd", status="BLOCKED", mqs_score="12"))
    after = registry.read_bytes().split(newline.encode())
    assert [*before[:2], *before[3:]] == [*after[:2], *after[3:]]
    assert after[2].startswith(b"org/odd,,,,BLOCKED,12,")
    assert read_rows(registry)[1].status == "BLOCKED"


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("end", [True, False])
def test_a_new_model_is_added_at_the_end(registry, newline, end):
    text = registry.read_text(encoding="utf-8").rstrip("\n").replace("\n", newline)
    registry.write_bytes((text + newline * end).encode())
    update_row(registry, RegistryRow("org/new"))
    assert registry.read_bytes().startswith(text.encode() + newline.encode() + b"org/new,")
    assert registry.read_bytes().endswith(b",false" + newline.encode())
    assert [row.model_id for row in read_rows(registry)][-1] == "org/new"


def test_writing_the_same_row_again_changes_no_byte(registry):
    update_row(registry, RegistryRow("org/odd"))
    before = registry.read_bytes()
    update_row(registry, RegistryRow("org/odd"))
    assert registry.read_bytes() == before


def test_columns_of_others_are_kept(tmp_path, run_with):
    path = tmp_path / "models.csv"
    path.write_text(f'owner,{HEADER},note\nanna,org/small{"," * 19},"keep\nthis"\n')
    assert register(path, run_with()).extra == {"owner": "anna", "note": "keep\nthis"}
    [row] = read_rows(path)
    assert (row.status, row.extra) == ("CERTIFIED", {"owner": "anna", "note": "keep\nthis"})


def test_a_row_that_spans_lines_stays_whole(registry):
    registry.write_text(f'{HEADER}\norg/a,"two\nlines"{"," * 18}\norg/b{"," * 19}\n')
    before = registry.read_bytes()
    update_row(registry, RegistryRow("org/b", family="b"))
    assert registry.read_bytes()[: before.index(b"org/b")] == before[: before.index(b"org/b")]
    assert [row.model_id for row in read_rows(registry)] == ["org/a", "org/b"]


def test_bytes_that_are_no_utf8_survive(registry):
    registry.write_bytes(registry.read_bytes().replace(b"nine", b"\xff\xfe"))
    update_row(registry, RegistryRow("org/small"))
    assert b",\xff\xfe,A++," in registry.read_bytes()


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=9),
        min_size=20,
        max_size=20,
    )
)
def test_any_text_in_a_row_is_read_back(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("registry") / "models.csv"
    row = RegistryRow(**dict(zip(COLUMNS, ["org/a", *values[1:]], strict=True)))
    update_row(path, RegistryRow("org/before"))
    update_row(path, row)
    update_row(path, RegistryRow("org/after"))
    assert [found.model_id for found in read_rows(path)] == ["org/before", "org/a", "org/after"]
    assert read_rows(path)[1] == row


def test_a_missing_registry_is_made(tmp_path):
    path = tmp_path / "certifications" / "models.csv"
    update_row(path, RegistryRow("org/new", family="new"))
    assert path.read_text().splitlines()[0] == HEADER
    assert [row.family for row in read_rows(path)] == ["new"]


def test_a_link_to_the_registry_stays_a_link(registry, tmp_path):
    link = tmp_path / "link.csv"
    link.symlink_to(registry)
    update_row(link, RegistryRow("org/small", family="changed"))
    assert link.is_symlink()
    assert read_rows(registry)[0].family == "changed"


def test_permissions_of_the_registry_are_kept(registry):
    registry.chmod(0o664)
    update_row(registry, RegistryRow("org/small"))
    assert registry.stat().st_mode & 0o777 == 0o664


def test_a_run_that_makes_no_claim_changes_nothing(registry, run_with, tmp_path):
    before = registry.read_bytes()
    assert register(registry, run_with(failure="the model was not found")) is None
    assert registry.read_bytes() == before
    assert register(tmp_path / "new.csv", run_with(failure="the model was not found")) is None
    assert not (tmp_path / "new.csv").exists()


def test_a_run_is_registered_in_place_of_its_model(registry, run_with):
    register(registry, run_with(model="org/last", passed=8, failed=2))
    row = read_rows(registry)[2]
    assert (row.status, row.mqs_score, row.parameters) == ("PROVISIONAL", "800", "7B")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", "has no column model_id"),
        (f"{HEADER}\norg/small,\norg/small,\n", "has 2 rows of org/small"),
        ("model_id,family\norg/small,x\n", "lacks the column parameters"),
        (f'{HEADER}\n"open', "is not a CSV file"),
        (f'{HEADER}\n"org/a"x,\n', "is not a CSV file"),
    ],
)
def test_a_registry_that_cannot_be_changed_is_one_sentence_and_stays(registry, content, message):
    registry.write_text(content)
    with pytest.raises(RegistryError, match=message):
        update_row(registry, RegistryRow("org/small"))
    assert registry.read_text() == content


def test_a_registry_with_fewer_columns_can_be_read(registry):
    registry.write_text("model_id,family\norg/small,x\n")
    [row] = read_rows(registry)
    assert (row.family, row.status) == ("x", "")


def test_a_missing_registry_cannot_be_read(tmp_path):
    with pytest.raises(RegistryError, match=r"models\.csv cannot be read: No such file"):
        read_rows(tmp_path / "models.csv")


WRITER = """
import os, sys
from pathlib import Path
from pytest_aprqa.registry.models_csv import RegistryRow, update_row

path, writers, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
name = "alone"
children = []
for number in range(writers):
    child = os.fork()
    if not child:
        name, children = f"writer{number}", []
        break
    children.append(child)
if not children:
    number = 0
    while number != count:
        number += 1
        update_row(path, RegistryRow(f"org/{name}", family=str(number)))
sys.exit(any(os.waitpid(child, 0)[1] for child in children))
"""


def start_writers(path: Path, writers: int, count: int) -> subprocess.Popen[bytes]:
    """Start processes that each write a row so many times, or without end."""
    return subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(writers), str(count)])


def test_twenty_writers_lose_no_row(registry):
    others = registry.read_bytes()
    assert start_writers(registry, writers=20, count=5).wait(timeout=60) == 0
    assert registry.read_bytes().startswith(others)
    found = {row.model_id: row.family for row in read_rows(registry)[3:]}
    assert found == {f"org/writer{number}": "5" for number in range(20)}


def test_a_killed_writer_leaves_a_whole_registry_and_no_lock(registry):
    others = registry.read_bytes()
    for _ in range(3):
        process = start_writers(registry, writers=0, count=-1)
        before = len(read_rows(registry))
        deadline = time.monotonic() + 20
        while len(read_rows(registry)) == before == 3 and time.monotonic() < deadline:
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=20)
        assert registry.read_bytes().startswith(others)
        assert read_rows(registry)[3].model_id == "org/alone"
    update_row(registry, RegistryRow("org/after"))
    assert [row.model_id for row in read_rows(registry)[3:]] == ["org/alone", "org/after"]


def test_the_shipped_registry_names_many_models_of_many_families():
    rows = read_rows(SHIPPED)
    assert len(rows) >= 93
    assert len({row.family for row in rows}) >= 36
    assert len({row.model_id for row in rows}) == len(rows)
    assert {"HuggingFaceTB/SmolLM2-135M-Instruct", "Qwen/Qwen2.5-1.5B-Instruct"} <= {
        row.model_id for row in rows
    }


def test_sizes_in_the_shipped_registry_follow_from_the_parameters():
    for row in read_rows(SHIPPED):
        assert row.size_category == SizeCategory.of(int(parameter_count(row))), row.model_id


def test_the_shipped_playbooks_and_the_shipped_registry_agree():
    rows = {row.model_id: row for row in read_rows(SHIPPED)}
    differ = []
    for path in playbooks_in(SHIPPED.parents[1] / "playbooks" / "models"):
        model = load_playbook(path).playbook.model
        if (row := rows.get(model.hf_repo)) is None:
            continue
        if model.family not in (None, row.family):
            differ.append((path.name, model.family, row.family))
        if model.size_category not in (None, row.size_category):
            differ.append((path.name, model.size_category, row.size_category))
    assert differ == []
