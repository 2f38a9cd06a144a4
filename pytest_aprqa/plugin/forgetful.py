"""Keeps a session of thousands of checks from holding on to what is on disk already."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from types import MappingProxyType
from typing import Any

import pytest

from pytest_aprqa.plugin.nodeid import is_playbook_item

_NO_KEYWORDS: Mapping[str, Any] = MappingProxyType({})


class Forgetful:
    """Takes from the reports of a check, which pytest keeps, what nobody asks for any more.

    That is when its last report has been through every plugin: evidence is in the journal,
    properties are in JUnit's document, and keywords have selected what they select.
    """

    def __init__(self) -> None:
        self._open: dict[str, list[pytest.TestReport]] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None]:
        yield
        if not is_playbook_item(report.nodeid):
            return
        self._open.setdefault(report.nodeid, []).append(report)
        if report.when != "teardown":
            return
        for seen in self._open.pop(report.nodeid):
            vars(seen).pop("aprqa_evidence", None)
            seen.keywords = _NO_KEYWORDS
            seen.user_properties = []
