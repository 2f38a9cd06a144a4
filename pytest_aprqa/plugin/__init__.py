"""The hooks pytest calls, and nothing else.

A session without playbooks pays for this module alone: everything else is imported when the
first playbook is met.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_aprqa.plugin.collect import PlaybookFile
    from pytest_aprqa.run.laboratory import Laboratory
    from pytest_aprqa.verdict.evidence import Evidence

SUFFIX = ".playbook.yaml"


def pytest_addoption(parser: pytest.Parser) -> None:
    from pytest_aprqa.plugin.options import add_options

    add_options(parser)


@pytest.hookimpl(trylast=True)
def pytest_load_initial_conftests(parser: pytest.Parser) -> None:
    from pytest_aprqa.plugin.options import add_short_names

    add_short_names(parser)


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, Any, Any]:
    if config.getoption("aprqa_plan"):
        config.option.numprocesses = None
    return (yield)


def pytest_configure(config: pytest.Config) -> None:
    from pytest_aprqa.plugin.markers import MARKERS
    from pytest_aprqa.plugin.options import check_ini_values

    check_ini_values(config)
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    if config.getoption("dist", "no") != "no" and not hasattr(config, "workerinput"):
        from pytest_aprqa.plugin.distributed import Distributed

        config.pluginmanager.register(Distributed(config), "aprqa-distributed")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> PlaybookFile | None:
    if not file_path.name.endswith(SUFFIX):
        return None
    from pytest_aprqa.plugin.collect import PlaybookFile
    from pytest_aprqa.plugin.recorder import ensure_recorder

    ensure_recorder(parent.config)
    file: PlaybookFile = PlaybookFile.from_parent(parent, path=file_path)
    return file


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    if not session.config.getoption("aprqa_plan"):
        return None
    from pytest_aprqa.plugin.planned import show_plans

    show_plans(session)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if item.nodeid.partition("::")[0].endswith(SUFFIX):
        from pytest_aprqa.plugin.collect import attach_evidence

        attach_evidence(item, report)
    return report


@pytest.fixture(scope="module")
def aprqa_laboratory(request: pytest.FixtureRequest) -> Generator[Laboratory, None, None]:
    """The artifacts and engines of the playbook the requesting item comes from."""
    from pytest_aprqa.plugin.laboratories import open_laboratory
    from pytest_aprqa.plugin.waiting import told_at_once

    laboratory = open_laboratory(request.session, request.path)
    with told_at_once(request.config):
        yield laboratory
    laboratory.close()


def _gateway(number: int) -> Any:
    def gateway(request: pytest.FixtureRequest, aprqa_laboratory: Laboratory) -> Evidence | None:
        from pytest_aprqa.words import Gateway

        return aprqa_laboratory.gateway(Gateway(f"G{number}"), request.node.check.cell)

    gateway.__doc__ = f"Evidence of gateway G{number} for the cell of the requesting item."
    return pytest.fixture(name=f"g{number}")(gateway)


g0, g1, g2, g3, g4 = (_gateway(number) for number in range(5))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: Sequence[str]) -> None:
    if any(SUFFIX + "::" in nodeid for nodeid in ids):
        from pytest_aprqa.plugin.recorder import ensure_recorder

        recorder = ensure_recorder(node.config)
        assert recorder is not None  # workers do not hear of other workers
        recorder.expect(ids)
