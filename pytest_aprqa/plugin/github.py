"""pytest in GitHub Actions: the job's summary, annotations, and no command out of a model's mouth."""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from pytest_aprqa.plugin.recorder import NAME as RECORDER
from pytest_aprqa.plugin.recorder import Recorder
from pytest_aprqa.report.github import job_summary, workflow_commands
from pytest_aprqa.run.book import Book


def is_here() -> bool:
    """Whether this process is a step of a workflow."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


class GitHub:
    """Tells the runner of GitHub what came of each playbook."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(
        self, terminalreporter: Any, config: pytest.Config
    ) -> Generator[None, None, None]:
        terminal: pytest.TerminalReporter = terminalreporter
        # Failures show answers, and a line of one that begins with `::` would be a command.
        token = secrets.token_hex(16)
        terminal.write_line(f"::stop-commands::{token}")
        try:
            yield
        finally:
            terminal.write_line(f"::{token}::")
        recorder = config.pluginmanager.get_plugin(RECORDER)
        for book in recorder.books if isinstance(recorder, Recorder) else ():
            self._tell(book, terminal)

    @staticmethod
    def _tell(book: Book, terminal: pytest.TerminalReporter) -> None:
        if book.run is None:
            return
        root = Path(os.environ.get("GITHUB_WORKSPACE", Path.cwd()))
        path = book.playbook.resolve()
        file = path.relative_to(root) if path.is_relative_to(root) else path
        lines = {check.name: check.line for check in book.planned.plan.checks}
        for command in workflow_commands(book.run, file.as_posix(), lines):
            terminal.write_line(command)
        if target := os.environ.get("GITHUB_STEP_SUMMARY"):
            with Path(target).open("a", encoding="utf-8") as file_of_step:
                file_of_step.write(job_summary(book.run))
