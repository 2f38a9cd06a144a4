"""G0 on the weights files alone: containers, digests and the contents of the tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pytest_aprqa.artifact.apr_file import AprFile
from pytest_aprqa.artifact.digest import sha256_of_file
from pytest_aprqa.artifact.integrity_content import check_contents
from pytest_aprqa.artifact.look import Look, look_through
from pytest_aprqa.artifact.model import Artifact, ArtifactError, ArtifactFault
from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.artifact.tensor_file import DType, TensorFile
from pytest_aprqa.artifact.twins import remember_same, states_of, twins_in
from pytest_aprqa.observation import FileReport, Finding, Severity
from pytest_aprqa.words import Format

_MISREAD_IN_APR = frozenset({DType.F64, DType.I32, DType.I64, DType.I8, DType.U8})
"""Types whose APR codes upstream's server takes for those of GGML's quantised types."""


NO_MODEL_RULES = frozenset({"G0-FORMAT", "G0-EMPTY"})
"""What breaks these is no model that anything else could be said of."""


def check_structure(artifact: Artifact, reference: Artifact | None = None) -> FileReport:
    """Check digests, container and contents of an artifact's weights.

    Args:
        artifact: to check.
        reference: whose weights are read beside, so that they need not be read again to compare.

    Raises:
        ArtifactError: UNSUPPORTED, ENVIRONMENT or NOT_FOUND; a malformed file is a finding.
    """
    return merged((check_digests(artifact), check_weights(artifact, reference)))


def merged(reports: Iterable[FileReport]) -> FileReport:
    """Return one report of several: findings with errors first, counts added up."""
    findings: list[Finding] = []
    checked: Counter[str] = Counter()
    for report in reports:
        findings.extend(report.findings)
        checked.update(report.checked)
    order = list(Severity)
    findings.sort(key=lambda finding: order.index(finding.severity))
    return FileReport(tuple(findings), dict(checked))


def check_digests(artifact: Artifact) -> FileReport:
    """Compare the files with the sha256 that the playbook, a manifest or the cache states."""
    findings = []
    expected = {
        path: artifact.expected_sha256[path.name]
        for path in artifact.files
        if path.name in artifact.expected_sha256
    }
    for path, digest in expected.items():
        found = sha256_of_file(path)
        if found != digest.lower():
            message = f"{path.name}: sha256 is {found}, expected {digest}"
            findings.append(Finding("G0-DIGEST", message, where=path.name))
    return FileReport(tuple(findings), {"digests": len(expected)})


def check_weights(artifact: Artifact, reference: Artifact | None = None) -> FileReport:
    """Open the weights, strictly, and look at every tensor once."""
    try:
        with open_tensors(artifact.path, checksum=False) as tensors:
            container = _check_container(artifact, tensors)
            looks = [] if container.errors else _looks(artifact, reference, tensors)
            if isinstance(tensors, AprFile):
                tensors.refuse_checksum(part for look in looks for part in look.summed)
            if container.errors:
                return container
            return merged((container, check_contents(tensors, looks)))
    except ArtifactError as error:
        if error.fault is not ArtifactFault.MALFORMED:
            raise
        finding = Finding(error.rule or "G0-HEADER", error.message, where=error.where)
        return FileReport((finding,), {"files": 1})


def _looks(artifact: Artifact, reference: Artifact | None, tensors: TensorFile) -> list[Look]:
    states = states_of(reference, artifact)
    with twins_in(reference, tensors) as twins:
        looks = look_through(tensors, twins)
    remember_same(states, twins, looks)
    return looks


def _check_container(artifact: Artifact, tensors: TensorFile) -> FileReport:
    findings = []
    name = artifact.path.name
    if tensors.format is not artifact.format:
        message = f"{name} is {tensors.format} by content, expected {artifact.format}"
        findings.append(Finding("G0-FORMAT", message, where=name))
    if not tensors.tensors:
        findings.append(Finding("G0-EMPTY", f"{name} holds no tensors", where=name))
    if tensors.format is Format.APR:
        findings.extend(
            Finding(
                "G0-DTYPE",
                f"{info.name} is {info.dtype}, which `apr serve` reads as another type",
                Severity.WARNING,
                f"{name}, tensor {info.name!r}",
            )
            for info in tensors.tensors.values()
            if info.dtype in _MISREAD_IN_APR
        )
    return FileReport(tuple(findings), {"files": len(tensors.paths)})
