"""A playbook that is not as it was locked is run by pytest as little as by the command line."""

from __future__ import annotations

import pytest

from pytest_aprqa.playbook.load import load_playbook
from pytest_aprqa.playbook.lock import LOCK_NAME, lock_text, make_lock


@pytest.fixture
def locked(session):
    """A session whose playbook is locked, in a directory below the lock."""
    path = session.write()
    session.pytester.path.joinpath(LOCK_NAME).write_text(
        lock_text(make_lock([load_playbook(path)]))
    )
    return session


def _collect(session, *arguments):
    return session.pytester.runpytest_inprocess("--collect-only", "-q", *arguments)


def test_a_playbook_as_it_was_locked_is_collected(locked):
    assert _collect(locked).ret == pytest.ExitCode.OK


def test_a_changed_playbook_is_refused_until_it_is_allowed(locked):
    locked.write(locked.playbook.replace("2+2", "3+3"))
    refused = _collect(locked)
    assert refused.ret == pytest.ExitCode.INTERRUPTED
    refused.stdout.fnmatch_lines(["*test_matrix.prompts has changed since it was locked*"])
    assert _collect(locked, "--aprqa-ignore-lock").ret == pytest.ExitCode.OK
    assert _collect(locked, "--ignore-lock").ret == pytest.ExitCode.OK
    locked.pytester.makeini("[pytest]\naprqa_ignore_lock = true\n")
    assert _collect(locked).ret == pytest.ExitCode.OK


def test_a_playbook_that_the_lock_does_not_list_is_collected(session):
    session.write()
    session.pytester.path.joinpath(LOCK_NAME).write_text(lock_text(make_lock([])))
    assert _collect(session).ret == pytest.ExitCode.OK
