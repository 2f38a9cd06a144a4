"""From a fault of a file or an engine to an outcome, and whose doing it is."""

from __future__ import annotations

from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.engine.protocol import EngineError, Fault
from pytest_aprqa.words import Attribution, Outcome

_ENGINE = {
    Fault.LOAD: (Outcome.FALSIFIED, Attribution.MODEL),
    Fault.INFERENCE: (Outcome.FALSIFIED, Attribution.ENGINE),
    Fault.CRASH: (Outcome.CRASHED, Attribution.ENGINE),
    Fault.TIMEOUT: (Outcome.TIMEOUT, Attribution.ENGINE),
    Fault.UNSUPPORTED: (Outcome.INCONCLUSIVE, Attribution.ENGINE),
    Fault.ENVIRONMENT: (Outcome.INCONCLUSIVE, Attribution.ENVIRONMENT),
    Fault.PROTOCOL: (Outcome.INCONCLUSIVE, Attribution.ENGINE),
    Fault.GIVEN_UP: (Outcome.INCONCLUSIVE, Attribution.ENGINE),
}
_ARTIFACT = {
    ArtifactFault.NOT_FOUND: (Outcome.INCONCLUSIVE, Attribution.ENVIRONMENT),
    ArtifactFault.MALFORMED: (Outcome.FALSIFIED, Attribution.MODEL),
    ArtifactFault.UNSUPPORTED: (Outcome.INCONCLUSIVE, Attribution.ENGINE),
    ArtifactFault.ENVIRONMENT: (Outcome.INCONCLUSIVE, Attribution.ENVIRONMENT),
}


def verdict_of(
    error: EngineError | ArtifactError, *, converted: bool
) -> tuple[Outcome, Attribution]:
    """Return what an error means for the check that met it.

    A file we converted ourselves is the conversion's doing, not the model's.
    """
    if isinstance(error, EngineError):
        outcome, attribution = _ENGINE[error.fault]
    else:
        outcome, attribution = _ARTIFACT[error.fault]
    if converted and attribution is Attribution.MODEL:
        attribution = Attribution.CONVERSION
    return outcome, attribution
