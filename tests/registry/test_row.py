"""The row that follows from a run."""

from __future__ import annotations

import pytest

from pytest_aprqa.registry.row import (
    COLUMNS,
    RegistryRow,
    parameters_text,
    row_from_run,
    with_parameters,
)
from pytest_aprqa.words import Backend, Format, Outcome, Tier

FINISHED = "2026-02-03T04:15:06+00:00"


def test_the_twenty_columns_and_their_order():
    assert ",".join(COLUMNS) == (
        "model_id,family,parameters,size_category,status,mqs_score,grade,"
        "certified_tier,last_certified,g1,g2,g3,g4,tps_gguf_cpu,tps_gguf_gpu,tps_apr_cpu,"
        "tps_apr_gpu,tps_st_cpu,tps_st_gpu,provenance_verified"
    )


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ({}, ("CERTIFIED", "1000", "A+", "mvp", FINISHED)),
        ({"tier": Tier.SMOKE}, ("CERTIFIED", "1000", "A+", "smoke", FINISHED)),
        ({"passed": 8, "failed": 2}, ("PROVISIONAL", "800", "A-", "mvp", FINISHED)),
        ({"passed": 5, "failed": 5}, ("BLOCKED", "500", "C", "none", "")),
        ({"G4": Outcome.FALSIFIED}, ("BLOCKED", "0", "F", "none", "")),
        ({"skipped": 3}, ("PARTIAL", "1000", "A+", "none", "")),
    ],
)
def test_a_verdict_becomes_a_row(run_with, ends, expected):
    row = row_from_run(run_with(**ends), None)
    claimed = (row.status, row.mqs_score, row.grade, row.certified_tier, row.last_certified)
    assert claimed == expected


@pytest.mark.parametrize(
    "ends",
    [
        pytest.param({"failure": "the model was not found"}, id="the run could not be made"),
        pytest.param({"passed": 0, "skipped": 5}, id="nothing was measured"),
    ],
)
def test_a_run_without_a_verdict_makes_no_claim(run_with, ends):
    assert row_from_run(run_with(**ends), None) is None


@pytest.mark.parametrize("failed", ["G1", "G2", "G3", "G4"])
def test_the_failed_gateway_shows_in_the_column_of_its_own_name(run_with, failed):
    row = row_from_run(run_with(**{failed: Outcome.FALSIFIED}), None)
    columns = {name.upper(): getattr(row, name) for name in ("g1", "g2", "g3", "g4")}
    assert [name for name, held in columns.items() if held == "false"] == [failed]


def test_a_failed_integrity_check_blocks_but_has_no_column(run_with):
    row = row_from_run(run_with(G0=Outcome.FALSIFIED), None)
    assert row.status == "BLOCKED"
    assert (row.g1, row.g2, row.g3, row.g4) == ("true",) * 4


def test_an_open_gateway_is_not_stated_as_passed(run_with):
    assert row_from_run(run_with(G1=Outcome.INCONCLUSIVE), None).g1 == "false"


def test_throughput_is_the_median_of_what_was_measured(run_with):
    rates = {
        (Format.SAFETENSORS, Backend.CPU): (10.0, 11.0, 99.0),
        (Format.GGUF, Backend.GPU): (512.34,),
    }
    row = row_from_run(run_with(rates=rates), None)
    assert (row.tps_st_cpu, row.tps_gguf_gpu) == ("11.0", "512.3")
    assert (row.tps_gguf_cpu, row.tps_apr_cpu, row.tps_st_gpu) == ("", "", "")


def test_the_rate_of_a_format_is_that_of_its_first_quantisation(run_with):
    run = run_with(rates={(Format.GGUF, Backend.CPU): (7.0, 9.0)})
    names = dict(zip([r.check for r in run.records if r.metrics], ("q8_0", "q4_0"), strict=True))

    def told_apart(entries):
        return tuple(e.model_copy(update={"quantization": names.get(e.check)}) for e in entries)

    plan = run.plan.model_copy(update={"checks": told_apart(run.plan.checks)})
    run = run.model_copy(update={"plan": plan, "records": told_apart(run.records)})
    assert row_from_run(run, None).tps_gguf_cpu == "7.0"


def test_a_rate_counts_as_measured_whatever_its_bound_says(run_with):
    run = run_with(rates={(Format.APR, Backend.CPU): (5.0,)})
    records = tuple(
        record.model_copy(update={"outcome": Outcome.INCONCLUSIVE}) for record in run.records
    )
    assert row_from_run(run.model_copy(update={"records": records}), None).tps_apr_cpu == "5.0"


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), 0.0, -1.0])
def test_a_rate_that_is_none_is_left_out(run_with, rate):
    row = row_from_run(run_with(rates={(Format.APR, Backend.CPU): (rate,)}), None)
    assert row.tps_apr_cpu == ""


def test_what_the_run_does_not_know_is_kept_from_the_row_before(run_with):
    before = RegistryRow(
        "org/small",
        parameters="1B",
        size_category="small",
        last_certified="2025-01-01",
        tps_gguf_gpu="7.0",
        extra={"owner": "anna"},
    )
    row = row_from_run(run_with(passed=0, failed=5), before)
    assert (row.parameters, row.size_category) == ("1B", "small")
    assert row.last_certified == "2025-01-01"
    assert row.extra == {"owner": "anna"}
    assert row.tps_gguf_gpu == ""


@pytest.mark.parametrize(
    ("parameters", "text", "size"),
    [
        (134_515_008, "135M", "tiny"),
        (999_885_952, "1B", "tiny"),
        (1_543_714_304, "1.54B", "small"),
        (7_615_616_512, "7.62B", "medium"),
        (14_770_033_664, "14.8B", "large"),
        (70_553_706_496, "70.6B", "huge"),
    ],
)
def test_a_parameter_count_becomes_text_and_size(parameters, text, size):
    row = with_parameters(RegistryRow("org/small"), parameters)
    assert (row.parameters, row.size_category) == (text, size)
    assert parameters_text(parameters) == text


def test_a_size_written_by_people_stays(run_with):
    row = row_from_run(
        run_with(parameters=1_543_714_304), RegistryRow("org/small", parameters="1.5B")
    )
    assert (row.parameters, row.size_category) == ("1.5B", "small")


@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize("gateway", ["G1", "G2", "G4"])
def test_no_row_is_certified_with_a_gateway_that_does_not_hold(run_with, gateway, outcome):
    row = row_from_run(run_with(**{gateway: outcome}), None)
    held = (row.g1, row.g2, row.g3, row.g4) == ("true",) * 4
    assert (row.status == "CERTIFIED") == held == outcome.passes
