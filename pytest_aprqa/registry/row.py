"""One row of the registry, and how it follows from a run."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field, fields, replace

from pytest_aprqa.playbook.check import CheckKind
from pytest_aprqa.verdict.record import Run
from pytest_aprqa.words import Backend, Format, Gateway, SizeCategory, Status

DECODE_RATE = "decode_tokens_per_second"
NO_TIER = "none"
NO_GRADE = "-"


@dataclass(frozen=True, slots=True)
class RegistryRow:
    """One model, in the text of the file: the twenty columns in their order.

    Attributes:
        parameters: as people write it ("1.5B").
        mqs_score: 0-1000.
        certified_tier: tier of the last certificate, "none" without one.
        last_certified: when the model last reached CERTIFIED or PROVISIONAL, ISO 8601.
        g1, g2, g3, g4: "true" when the gateway of that number is corroborated.
        tps_*: decoded tokens per second by format (st: SafeTensors) and backend, of the first of
            several quantisations; "" when not measured.
        extra: columns after the twentieth, by name.
    """

    model_id: str
    family: str = ""
    parameters: str = ""
    size_category: str = ""
    status: str = Status.PENDING.value
    mqs_score: str = "0"
    grade: str = NO_GRADE
    certified_tier: str = NO_TIER
    last_certified: str = ""
    g1: str = "false"
    g2: str = "false"
    g3: str = "false"
    g4: str = "false"
    tps_gguf_cpu: str = ""
    tps_gguf_gpu: str = ""
    tps_apr_cpu: str = ""
    tps_apr_gpu: str = ""
    tps_st_cpu: str = ""
    tps_st_gpu: str = ""
    provenance_verified: str = "false"
    extra: dict[str, str] = field(default_factory=dict)

    def columns(self) -> dict[str, str]:
        """Return the twenty columns by name."""
        return {name: getattr(self, name) for name in COLUMNS}


COLUMNS = tuple(column.name for column in fields(RegistryRow) if column.name != "extra")
_GATEWAYS = {gateway.lower(): gateway for gateway in Gateway if gateway is not Gateway.G0}
_CELLS = {
    f"tps_{short}_{backend}": (format, backend)
    for short, format in (("gguf", Format.GGUF), ("apr", Format.APR), ("st", Format.SAFETENSORS))
    for backend in Backend
}


def row_from_run(run: Run, previous: RegistryRow | None) -> RegistryRow | None:
    """Return the row that follows from a run, or None when the run makes no claim.

    All but the identity of the model, its last certification and columns of others comes from this
    run alone, so that the row can be derived again from its evidence. A run that could not be
    made (FAIL) claims nothing, nor does one in which nothing failed and nothing was measured.

    Args:
        run: a concluded run.
        previous: the model's row before, if it has one.
    """
    certificate = run.certificate
    measured = any(category.executed for category in run.mqs.categories)
    if certificate.status in (Status.FAIL, Status.PENDING):
        return None
    if certificate.status is Status.PARTIAL and not measured:
        return None
    row = previous or RegistryRow(run.plan.model_id)
    if run.plan.parameters is not None:
        row = with_parameters(row, run.plan.parameters)
    certified = certificate.status in (Status.CERTIFIED, Status.PROVISIONAL)
    throughput = {column: _throughput(run, *cell) for column, cell in _CELLS.items()}
    held = {column: _bool(_holds(run, gateway)) for column, gateway in _GATEWAYS.items()}
    claimed = {
        "family": run.plan.family or row.family,
        "status": certificate.status.value,
        "mqs_score": str(certificate.score),
        "grade": certificate.grade.value,
        "certified_tier": run.plan.tier.value if certified else NO_TIER,
        "last_certified": run.finished if certified else row.last_certified,
        "provenance_verified": _bool(certificate.provenance_verified),
    }
    columns = row.columns() | claimed | held | throughput
    return RegistryRow(**columns, extra=row.extra)


def with_parameters(row: RegistryRow, parameters: int) -> RegistryRow:
    """Return a row with a parameter count and the size category that follows from it.

    A count the row already states in rounded form ("1.5B") stays as it is written.
    """
    return replace(
        row,
        parameters=row.parameters or parameters_text(parameters),
        size_category=SizeCategory.of(parameters).value,
    )


def parameters_text(parameters: int) -> str:
    """Return a parameter count as people write it: "135M", "1.5B"."""
    unit, letter = (1e9, "B") if parameters >= 0.9995e9 else (1e6, "M")
    return f"{parameters / unit:.3g}{letter}"


def _holds(run: Run, gateway: Gateway) -> bool:
    return run.mqs.gateways[gateway].outcome.passes


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _throughput(run: Run, format: Format, backend: Backend) -> str:
    """Return the median decode rate the run measured in a cell, or an empty string."""
    measured = (check for check in run.plan.checks if check.kind is CheckKind.PERFORMANCE)
    first = next((c.cell.artifact for c in measured if c.format is format), None)
    rates = [
        record.metrics[DECODE_RATE]
        for record in run.records
        if record.kind == CheckKind.PERFORMANCE
        and (record.cell.artifact, record.backend) == (first, backend)
        and 0 < record.metrics.get(DECODE_RATE, 0.0) < math.inf
    ]
    return f"{statistics.median(rates):.1f}" if rates else ""
