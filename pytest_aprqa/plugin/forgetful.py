"""Keeps a session of thousands of checks from holding on to what is on disk already."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import pytest

from pytest_aprqa.plugin.nodeid import is_playbook_item

_NO_KEYWORDS: Mapping[str, Any] = MappingProxyType({})
_UNSHOWN = ""
"""The terminal's category of reports that it counts nowhere: setups and teardowns that passed."""


class Forgetful:
    """Takes from the reports of a check, which pytest keeps, what nobody asks for any more.

    That is when its last report has been through every plugin: evidence is in the journal,
    properties are in JUnit's document, and keywords have selected what they select. Setups and
    teardowns that passed and printed nothing are kept for `--durations` alone.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._open: dict[str, list[pytest.TestReport]] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None]:
        yield
        if not is_playbook_item(report.nodeid):
            return
        self._open.setdefault(report.nodeid, []).append(report)
        if report.when != "teardown":
            return
        reports = self._open.pop(report.nodeid)
        for seen in reports:
            vars(seen).pop("aprqa_evidence", None)
            vars(seen).update(keywords=_NO_KEYWORDS, user_properties=())
            if not seen.sections:
                vars(seen).update(sections=())  # one for all, where each had an empty list
        if self._config.getoption("durations", None) is None:
            self._drop_unshown(seen for seen in reports if not seen.sections)

    def _drop_unshown(self, reports: Iterable[pytest.TestReport]) -> None:
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        kept = getattr(terminal, "stats", {}).get(_UNSHOWN, [])
        for report in reports:
            # They came in just now, so that they are near the end.
            for index in reversed(range(len(kept))):
                if kept[index] is report:
                    del kept[index]
                    break
