"""Gathers evidence where the reports arrive and concludes each playbook when the session ends.

It lives only in the process the user started, never in an xdist worker.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest

from pytest_aprqa.engine.log_folder import sweep
from pytest_aprqa.playbook.load import PlaybookError
from pytest_aprqa.plugin.contention import contending
from pytest_aprqa.plugin.forgetful import Forgetful
from pytest_aprqa.plugin.html import HtmlRows
from pytest_aprqa.plugin.nodeid import is_playbook_item
from pytest_aprqa.plugin.plans import plans_of
from pytest_aprqa.plugin.stop import run_id, stop_signal
from pytest_aprqa.plugin.terminated import end_like_ctrl_c
from pytest_aprqa.registry.models_csv import RegistryError
from pytest_aprqa.run.book import Book
from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.verdict.journal import JournalError
from pytest_aprqa.verdict.record import RecordError
from pytest_aprqa.words import Attribution, Outcome

NAME = "aprqa-recorder"


class Recorder:
    """Keeps one book a playbook, and writes each down as its reports come in."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self._books: dict[str, Book] = {}
        self._has_failed = False

    @property
    def books(self) -> tuple[Book, ...]:
        """The playbooks of the session."""
        return tuple(self._books.values())

    def expect(self, nodeids: Iterable[str]) -> None:
        """Note which checks were selected; each is "not run" until its report comes."""
        order: list[str] = []
        for nodeid in nodeids:
            if is_playbook_item(nodeid):
                file, _, name = nodeid.partition("::")
                if book := self._book(file):
                    book.select(name)
                    order.append(file)
        self._refuse_contention(order)
        if plans_of(self.config).settings.resume and not self._is_dry:
            for book in self._books.values():
                self._trying(book.begin)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.expect(item.nodeid for item in session.items)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        if book := self._books.get(nodeid.partition("::")[0]):
            self._trying(book.settle)  # what was found is on disk before the next check starts

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        file, _, name = report.nodeid.partition("::")
        book = self._books.get(file)
        if book is None or not book.is_open(name):
            return
        if text := getattr(report, "aprqa_evidence", None):
            evidence = Evidence.model_validate_json(text)
        elif report.failed or report.skipped:
            evidence = self._without_evidence(book, name, report)
        else:
            return
        self._trying(partial(book.record, evidence))
        if book.is_done:  # its folder is free now for another playbook of the same model
            self._conclude(book, interrupted=False)

    def _refuse_contention(self, order: Iterable[str]) -> None:
        parallel = self.config.getoption("dist", "no") != "no"
        journals = {file: book.journal for file, book in self._books.items()}
        items = ((file, journals[file]) for file in order)
        if (mixed := contending(items, parallel=parallel)) and not self._is_dry:
            model = self._books[mixed[0]].planned.plan.model.hf_repo
            raise pytest.exit.Exception(
                f"{' and '.join(mixed)} are about one model, {model}, and would write one journal at "
                "the same time: name one of them, or run them one after the other without workers (-n0)",
                returncode=pytest.ExitCode.USAGE_ERROR,
            )

    @property
    def _is_dry(self) -> bool:
        return bool(self.config.option.collectonly or self.config.getoption("aprqa_plan"))

    @staticmethod
    def _trying(write: Callable[[], object]) -> None:
        """Do what may find the evidence unfit or the disk full; then the session ends."""
        try:
            write()
        except RecordError as error:
            raise pytest.exit.Exception(
                str(error), returncode=pytest.ExitCode.USAGE_ERROR
            ) from None

    @staticmethod
    def _without_evidence(book: Book, name: str, report: pytest.TestReport) -> Evidence:
        """Return the record of an item that ended without reaching its verdict."""
        if getattr(report, "aprqa_crashed", False):
            reason = "the pytest worker died in this check"
            return book.blank(name, Outcome.INCONCLUSIVE, reason, Attribution.ENVIRONMENT)
        if isinstance(report.longrepr, tuple):
            return book.blank(name, Outcome.SKIPPED, report.longrepr[2])
        last = report.longreprtext.strip().splitlines()[-1:] or ["no reason was given"]
        return book.blank(name, Outcome.INCONCLUSIVE, f"{report.when} failed: {last[0]}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._is_dry:
            return
        interrupted = session.exitstatus == pytest.ExitCode.INTERRUPTED
        for book in self._books.values():
            if book.has_begun and book.run is None:
                self._conclude(book, interrupted)
            stop_signal(self.config, book.playbook).clear()
        if self._has_failed:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
        unmet = [book for book in self._books.values() if book.is_unmet]
        if unmet and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _conclude(self, book: Book, interrupted: bool) -> None:
        """Conclude a book; when the disk does not take it, others still end their session well."""
        try:
            book.conclude(interrupted=interrupted)
        except (OSError, RegistryError) as error:
            self._has_failed = True
            book.notices.append(
                f"the certificate could not be written: {error}; the journal {book.journal} is "
                "whole, so put that right and give --resume"
            )
        except JournalError as error:
            self._has_failed = True
            book.notices.append(f"there is no certificate: {error}")
        except RecordError as error:
            self._has_failed = True
            book.notices.append(f"there is no certificate: {error}; start a new run")

    def pytest_unconfigure(self) -> None:
        sweep()  # xdist has ended its workers by now, some of them the hard way

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        terminal: pytest.TerminalReporter = terminalreporter
        encoding = getattr(sys.stdout, "encoding", None) or "ascii"
        if self.config.option.collectonly:
            self._show_notices(terminal)
        for book in self._books.values():
            if not book.has_begun:
                continue
            terminal.section(f"certificate of {book.planned.plan.model.hf_repo}")
            width = shutil.get_terminal_size().columns
            for notice in book.notices:
                terminal.write_line(notice, yellow=True)
            if not book.run:
                continue
            for line in book.summary(width, unicode=encoding.lower().startswith("utf")):
                for span in line:
                    terminal.write(span.text, **span.style.markup)
                terminal.line("")

    def _show_notices(self, terminal: pytest.TerminalReporter) -> None:
        """Say what the collected playbooks ask for and nobody does."""
        notices = [
            notice.at(book.playbook)
            for book in self._books.values()
            for notice in book.planned.plan.notices
        ]
        if notices:
            terminal.section("notices about playbooks")
        for notice in notices:
            terminal.write_line(notice, yellow=True)

    def _book(self, file: str) -> Book | None:
        if file not in self._books:
            path = self.config.rootpath / file
            plans = plans_of(self.config)
            try:
                planned = plans.of(path)
            except PlaybookError:
                return None
            self._books[file] = Book(planned, path, plans.settings, run_id(self.config))
        return self._books[file]


def ensure_recorder(config: pytest.Config) -> Recorder | None:
    """Return the recorder of a session, made when the first playbook shows up.

    None in an xdist worker.
    """
    if hasattr(config, "workerinput"):
        return None
    recorder = config.pluginmanager.get_plugin(NAME)
    if recorder is None:
        recorder = Recorder(config)
        config.pluginmanager.register(recorder, NAME)
        config.pluginmanager.register(Forgetful(config), "aprqa-forgetful")
        from pytest_aprqa.plugin import github

        if github.is_here():
            config.pluginmanager.register(github.GitHub(), "aprqa-github")
        end_like_ctrl_c()
        if config.pluginmanager.hasplugin("html"):
            config.pluginmanager.register(HtmlRows(), "aprqa-html")
    assert isinstance(recorder, Recorder)
    return recorder
