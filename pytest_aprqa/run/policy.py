"""When a failure ends the run of its playbook."""

from __future__ import annotations

from pytest_aprqa.verdict.evidence import Evidence
from pytest_aprqa.words import FailurePolicy


def stop_reason(policy: FailurePolicy, evidence: Evidence) -> str:
    """Return why the checks after this record are given up, or an empty string."""
    if not evidence.outcome.fails or policy is FailurePolicy.COLLECT_ALL:
        return ""
    if policy is FailurePolicy.STOP_ON_P0 and not evidence.is_p0:
        return ""
    return f"policy: {policy} after {evidence.check} {evidence.outcome}"
