"""A check that looks back over its run sees what its own process found last."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytest_aprqa.run.blank import not_run
from pytest_aprqa.run.laboratory import Laboratory
from pytest_aprqa.run.planning import plan_playbook, run_plan
from pytest_aprqa.run.settings import Settings
from pytest_aprqa.run.so_far import so_far
from pytest_aprqa.verdict.journal import Journal, RunHeader
from pytest_aprqa.words import Outcome

PLAYBOOK = """
name: tested
model: {hf_repo: aprqa/tested, builtin: aprqa-reference, formats: [gguf]}
test_matrix: {modalities: [run], backends: [cpu], scenario_count: 2}
"""


@pytest.mark.parametrize("workers", [True, False])
def test_a_record_that_is_not_in_the_journal_yet_counts(tmp_path: Path, workers: bool):
    path = tmp_path / "tested.playbook.yaml"
    path.write_text(PLAYBOOK)
    settings = Settings(certifications=tmp_path)
    planned = plan_playbook(path, settings)
    first, second, *_ = planned.plan.checks
    lending = "nobody is asked at this address" if workers else None
    laboratory = Laboratory(planned.plan, path, settings, planned.output, lending=lending)
    assert not laboratory.journal.exists()
    header = RunHeader.of("run", datetime.now(UTC).isoformat(), run_plan(planned))
    with Journal(laboratory.journal, header) as journal:
        laboratory.note(not_run(first, Outcome.CORROBORATED, "kept"))
        journal.append(not_run(first, Outcome.CORROBORATED, "kept"))
        laboratory.note(not_run(second, Outcome.CORROBORATED, "on its way"))
        found = so_far(laboratory)
    laboratory.close()
    assert found is not None
    on_its_way = [second.name] if workers else []
    assert [record.check for record in found.records] == [first.name, *on_its_way]
