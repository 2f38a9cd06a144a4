"""A run as an in-toto statement of the vetted predicate `test-result`, for policy engines.

Format: https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md. The
subjects are the files of the artifacts under test, so a policy can ask of any of them whether it was
tested. What the run came to in our own words is in the certificate, see `signature.py`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pytest_aprqa.verdict.record import RecordError, Run
from pytest_aprqa.verdict.signature import STATEMENT_TYPE, FileDigest, Subject
from pytest_aprqa.words import Status

TEST_RESULT: Literal["https://in-toto.io/attestation/test-result/v0.1"] = (
    "https://in-toto.io/attestation/test-result/v0.1"
)


class Result(StrEnum):
    """What a test suite came to; WARNED: it passed, with restrictions."""

    PASSED = "PASSED"
    WARNED = "WARNED"
    FAILED = "FAILED"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class ResultOfTests(_Strict):
    """The predicate.

    Attributes:
        configuration: the playbook, and the plan it expands to at the run's tier.
        warned_tests: checks that came to no verdict: skipped, inconclusive, or without a record.
    """

    result: Result
    configuration: tuple[Subject, ...]
    passed_tests: tuple[str, ...] = Field(alias="passedTests")
    warned_tests: tuple[str, ...] = Field(alias="warnedTests")
    failed_tests: tuple[str, ...] = Field(alias="failedTests")


class Attestation(_Strict):
    """The statement."""

    type: Literal["https://in-toto.io/Statement/v1"] = Field(STATEMENT_TYPE, alias="_type")
    subject: tuple[Subject, ...]
    predicate_type: Literal["https://in-toto.io/attestation/test-result/v0.1"] = Field(
        TEST_RESULT, alias="predicateType"
    )
    predicate: ResultOfTests


def attest(run: Run) -> Attestation:
    """Return the statement about a run; it depends on the run alone.

    PASSED is a run that is CERTIFIED, WARNED one that reaches its threshold with less than that.

    Raises:
        RecordError: no artifact was tested, so there is nothing to speak of.
    """
    subjects = {
        f"{form}/{name}": sha
        for form, artifact in sorted(run.artifacts.items())
        for name, sha in sorted(artifact.files.items())
    }
    if not subjects:
        raise RecordError(f"the run of {run.plan.model_id} tested no file, so it attests nothing")
    ended = {record.check: record.outcome for record in run.records}
    names = [check.check for check in run.plan.checks]
    passed = tuple(name for name in names if name in ended and ended[name].passes)
    failed = tuple(name for name in names if name in ended and ended[name].fails)
    settled = {*passed, *failed}
    return Attestation(
        subject=_subjects(subjects),
        predicate=ResultOfTests(
            result=_result(run),
            configuration=_subjects(
                {
                    run.plan.playbook: run.plan.playbook_digest,
                    f"plan at tier {run.plan.tier}": run.plan.digest(),
                }
            ),
            passed_tests=passed,
            warned_tests=tuple(name for name in names if name not in settled),
            failed_tests=failed,
        ),
    )


def _result(run: Run) -> Result:
    if not run.certificate.exit_ok:
        return Result.FAILED
    return Result.PASSED if run.certificate.status is Status.CERTIFIED else Result.WARNED


def _subjects(digests: dict[str, str]) -> tuple[Subject, ...]:
    return tuple(
        Subject(name=name, digest=FileDigest(sha256=sha)) for name, sha in digests.items() if sha
    )
