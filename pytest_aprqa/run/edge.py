"""What an edge case is judged by beside its answer: the prompt that really reached the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_aprqa.engine.protocol import Engine, EngineError, Fault
from pytest_aprqa.judge.edge import EdgeKind
from pytest_aprqa.judge.edge_prompt import ROUND_TRIP, not_given_back, unlike_asked
from pytest_aprqa.observation import FinishReason, Generation
from pytest_aprqa.playbook.check import Check
from pytest_aprqa.words import Modality

if TYPE_CHECKING:
    from pytest_aprqa.run.laboratory import Laboratory


def prompt_fault(check: Check, generation: Generation, laboratory: Laboratory) -> str:
    """Return how the prompt of an edge case was fed wrongly, or an empty string.

    Only a raw prompt is looked at: what a template makes of one may be split in other places.
    """
    assert check.scenario is not None
    if check.cell.modality is not Modality.RUN or generation.finish is FinishReason.REFUSED:
        return ""
    engine, limit = laboratory.engine(check.cell), laboratory.timeout(check)
    request = laboratory.answers.request(check)
    try:
        [asked] = engine.tokenize([request.prompt or ""], special=False, timeout=limit)
        fault = unlike_asked(asked, generation.prompt_token_ids)
        if fault or check.scenario.edge != EdgeKind.UNICODE:
            return fault
        return not_given_back(_round_trip(engine, limit))
    except EngineError as error:
        if error.fault is Fault.UNSUPPORTED:
            return ""
        raise


def _round_trip(engine: Engine, limit: float) -> str:
    ids = engine.tokenize([ROUND_TRIP], special=False, timeout=limit)
    [decoded] = engine.detokenize(ids, limit)
    return decoded
