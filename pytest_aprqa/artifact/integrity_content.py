"""Whether the contents of the tensors are those of a sound model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pytest_aprqa.artifact.integrity_contract import DataQuality, Role, data_quality
from pytest_aprqa.artifact.integrity_siblings import Siblings
from pytest_aprqa.artifact.look import Look
from pytest_aprqa.artifact.tensor_file import TensorFile, TensorInfo
from pytest_aprqa.artifact.tensor_statistics import Statistics, l2_norm
from pytest_aprqa.observation import FileReport, Finding, Severity


def check_contents(tensors: TensorFile, looks: Iterable[Look]) -> FileReport:
    """Judge what was seen of every tensor that holds weights.

    Returns:
        What breaks the data-quality contract. A tensor of a type that cannot be decoded gives a
        warning and is not among the `checked` ones.
    """
    contract = data_quality()
    siblings = Siblings(tensors)
    findings: list[Finding] = []
    checked = {"tensors": 0, "elements": 0, "bytes": 0}
    for look in looks:
        info, statistics = look.info, look.statistics
        if statistics is None:
            findings.append(_not_looked_at(info))
            continue
        findings.extend(_judge(tensors, info, statistics, contract))
        findings.extend(siblings.find(info, statistics))
        checked["tensors"] += 1
        checked["elements"] += statistics.elements
        checked["bytes"] += info.nbytes
    findings.extend(siblings.compare())
    return FileReport(tuple(findings), checked)


def _not_looked_at(info: TensorInfo) -> Finding:
    message = f"{info.name} was not looked at: there is no decoder for {info.dtype}"
    return Finding("G0-DTYPE", message, Severity.WARNING, _where(info))


def _where(info: TensorInfo) -> str:
    return f"{info.path.name}, tensor {info.name!r}"


def _judge(
    tensors: TensorFile, info: TensorInfo, statistics: Statistics, contract: DataQuality
) -> Iterator[Finding]:
    """Yield what the contract says against a tensor; a broken one is not judged further."""
    role = contract.role_of(info)
    where = _where(info)
    count = statistics.elements
    if statistics.not_finite:
        message = f"{info.name}: {statistics.not_finite} of {count} values or scales are not finite"
        yield Finding(contract.finite.rule, message, where=where)
        return
    if role is Role.BIAS or not count:
        return
    if statistics.peak < contract.distribution.min_l2_norm:
        norm = l2_norm(info, tensors.raw(info.name)) if statistics.peak else 0.0
        if norm < contract.distribution.min_l2_norm:
            message = f"{info.name} is empty of content: its L2 norm is {norm:.1e}"
            yield Finding(contract.distribution.rule, message, where=where)
            return
    limit = contract.zeros.weight_max_share
    if role is Role.EMBEDDING:
        limit = contract.zeros.embedding_max_share
    if statistics.zeros > limit * count:
        message = (
            f"{info.name}: {statistics.zeros / count:.1%} of its values are zero, over {limit:.0%}"
        )
        yield Finding(contract.zeros.rule, message, where=where)
    if statistics.dead_rows > contract.dead_rows.max_share * statistics.rows:
        message = f"{info.name}: {statistics.dead_rows} of {statistics.rows} rows are all zero"
        yield Finding(contract.dead_rows.rule, message, where=where)
    allowed = role in contract.distribution.constant_allowed
    if statistics.constant is not None and count > 1 and not allowed:
        message = f"{info.name}: all {count} values are {statistics.constant:g}"
        yield Finding(contract.distribution.rule, message, where=where)
