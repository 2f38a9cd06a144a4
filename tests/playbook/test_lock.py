"""The lock: it breaks when a playbook says something else, and only then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_aprqa.playbook.load import LoadedPlaybook, PlaybookError
from pytest_aprqa.playbook.lock import lock_text, make_lock, read_lock, verify

Load = Callable[..., LoadedPlaybook]
Write = Callable[..., Path]

BODY = "test_matrix:\n  prompts: [one, two]\n  seed: 1\nfailure_policy: collect-all\n"


def test_an_unchanged_playbook_is_verified(load: Load) -> None:
    loaded = load(BODY)
    assert verify(loaded, make_lock([loaded])) == ()


@pytest.mark.parametrize(
    "edited",
    [
        "# a comment\n" + BODY,
        BODY.replace("[one, two]", "\n    - one\n    - 'two'"),
        "failure_policy: collect_all\ntest_matrix: {seed: 1, prompts: [one, two]}\n",
        BODY + "description: for readers\n",
        BODY + "metadata: {author: me}\n",
    ],
    ids=["comment", "layout", "order", "description", "metadata"],
)
def test_an_edit_that_says_nothing_new_keeps_the_lock(load: Load, edited: str) -> None:
    lock = make_lock([load(BODY)])
    assert verify(load(edited), lock) == ()


@pytest.mark.parametrize(
    ("edited", "said"),
    [
        (BODY.replace("two", "too"), "test_matrix.prompts has changed"),
        (BODY.replace("seed: 1", "seed: 2"), "test_matrix.seed has changed"),
        (BODY.replace("  seed: 1\n", ""), "test_matrix.seed was removed"),
        (BODY + "profile_ci: {measure: 9}\n", "profile_ci.measure was added"),
        (BODY + "metadata: {tier: deep}\n", "metadata.tier was added"),
        (BODY.replace("collect-all", "fail-fast"), "failure_policy has changed"),
    ],
)
def test_a_change_is_named_by_its_field(load: Load, edited: str, said: str) -> None:
    lock = make_lock([load(BODY)])
    assert verify(load(edited), lock) == (f"sample.playbook.yaml: {said} since it was locked",)


def test_a_template_that_changes_breaks_the_lock(load: Load, write: Write) -> None:
    write("name: t\ntest_matrix: {seed: 5}\n", "templates/t.yaml")
    lock = make_lock([load("extends: t\n")])
    write("name: t\ntest_matrix: {seed: 6}\n", "templates/t.yaml")
    [said] = verify(load("extends: t\n"), lock)
    assert "test_matrix.seed has changed" in said


def test_an_unlocked_playbook_is_not_verified(load: Load) -> None:
    lock = make_lock([load(BODY)])
    other = load(BODY, "other.playbook.yaml")
    assert verify(other, lock) == ("other.playbook.yaml is not locked",)


def test_two_playbooks_of_one_file_name_cannot_hide_each_other(load: Load) -> None:
    one, two = load(BODY, "a/same.playbook.yaml"), load(BODY, "b/same.playbook.yaml")
    with pytest.raises(PlaybookError, match=r"b/same.playbook.yaml: another playbook of this"):
        make_lock([one, two])


def test_the_text_does_not_depend_on_the_order_of_making(load: Load) -> None:
    one, two = load(BODY, "one.playbook.yaml"), load(BODY, "two.playbook.yaml")
    assert lock_text(make_lock([one, two])) == lock_text(make_lock([two, one]))


def test_a_lock_reads_back_as_it_was_written(load: Load, write: Write) -> None:
    lock = make_lock([load(BODY)])
    assert read_lock(write(lock_text(lock), "playbook.lock.yaml")) == lock


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("playbooks: [a]\n", ":1: playbooks: not a lock file"),
        ("playbooks:\n  a.yaml: {digest: x}\n", ":2: playbooks.a.yaml"),
        ("entries: {}\n", ":1: entries: not a lock file"),
        ("", ": not a lock file"),
    ],
)
def test_what_is_no_lock_file_is_refused(write: Write, text: str, said: str) -> None:
    with pytest.raises(PlaybookError) as caught:
        read_lock(write(text, "playbook.lock.yaml"))
    assert f"playbook.lock.yaml{said}" in str(caught.value)
