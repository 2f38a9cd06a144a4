"""What a sound reference is asked anew in a trial, and what is answered from memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pytest_aprqa.artifact.files import make_artifact
from pytest_aprqa.engine.open import open_engine
from pytest_aprqa.engine.protocol import Request
from pytest_aprqa.falsify.fault import Original
from pytest_aprqa.falsify.forwarding_engine import ForwardingEngine
from pytest_aprqa.falsify.laboratory import TrialLaboratory
from pytest_aprqa.falsify.originals import Originals
from pytest_aprqa.falsify.remembering_engine import RememberingEngine
from pytest_aprqa.observation import Generation, TokenScores
from pytest_aprqa.run.planning import plan_playbook
from pytest_aprqa.run.settings import Settings
from pytest_aprqa.words import REFERENCE, Backend, Cell, Format, Modality

PLAYBOOK = """\
name: trial
model: {hf_repo: aprqa/aprqa-reference, builtin: aprqa-reference}
test_matrix: {backends: [cpu], modalities: [run]}
"""

LIMIT = 120.0
QUESTION = Request("The capital of France is", max_tokens=4)


class Counting(ForwardingEngine):
    """Counts what the engine behind it is really asked."""

    asked = 0

    def generate(self, requests: Sequence[Request], timeout: float) -> list[Generation]:
        self.asked += 1
        return super().generate(requests, timeout)

    def score(
        self, sequences: Sequence[Sequence[int]], top: int, timeout: float, dtype: str = ""
    ) -> list[TokenScores]:
        self.asked += 1
        return super().score(sequences, top, timeout, dtype)


@pytest.fixture(scope="module")
def real(originals: Originals, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counting]:
    directory = originals.directory(Original.NATIVE)
    artifact = make_artifact(REFERENCE, directory, "", originals.digests)
    logs = tmp_path_factory.mktemp("logs")
    engine = Counting(open_engine(artifact, Backend.CPU, log_dir=logs, threads=1))
    yield engine
    engine.close()


def test_the_same_question_and_text_are_asked_once(real: Counting) -> None:
    engine, before = RememberingEngine(real), real.asked
    first, again = (engine.generate([QUESTION], LIMIT) for _ in range(2))
    ids = first[0].prompt_token_ids
    assert ids is not None
    scores = [engine.score([ids], 5, LIMIT) for _ in range(2)]
    assert (first, scores[0]) == (again, scores[1])
    assert real.asked == before + 2


def test_another_batch_and_a_sampled_answer_are_asked_for(real: Counting) -> None:
    engine, before = RememberingEngine(real), real.asked
    sampled = Request("The capital of France is", max_tokens=4, temperature=1.0)
    for requests in ([QUESTION], [QUESTION, QUESTION], [sampled], [sampled]):
        engine.generate(requests, LIMIT)
    assert real.asked == before + 4


def test_only_a_check_of_another_artifact_is_answered_from_memory(
    real: Counting, tmp_path: Path
) -> None:
    playbook = tmp_path / "trial.playbook.yaml"
    playbook.write_text(PLAYBOOK)
    settings = Settings(certifications=tmp_path, artifact_cache=tmp_path, offline=True)
    planned = plan_playbook(playbook, settings)
    remembering = RememberingEngine(real)
    laboratory = TrialLaboratory(
        planned.plan, playbook, settings, planned.output, reference=remembering
    )
    own, other = (
        Cell(form, Backend.CPU, Modality.RUN) for form in (Format.SAFETENSORS, Format.GGUF)
    )
    with laboratory.testing(own):
        assert laboratory.engine(own) is real
    with laboratory.testing(other):
        assert laboratory.engine(own) is remembering
