"""A run in the model card of the Hugging Face hub: `model-index`, a section of text, `.eval_results`.

Formats: https://huggingface.co/docs/hub/model-cards#evaluation-results and
https://huggingface.co/docs/hub/eval-results. Nothing is uploaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_aprqa.registry.models_csv import RegistryError
from pytest_aprqa.registry.row import RegistryRow, row_from_run
from pytest_aprqa.verdict.record import Run
from pytest_aprqa.verdict.run_file import replace_content

START = "<!-- APRQA_CERTIFICATE_START -->"
END = "<!-- APRQA_CERTIFICATE_END -->"
DATASET_TYPE = "pytest-aprqa"
KEY = "model-index"
_FRONT = re.compile(r"\A---\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_BLOCK = re.compile(rf"^{KEY}:.*?(?=^[^\s-]|\Z)", re.DOTALL | re.MULTILINE)


def update_card(path: Path, run: Run) -> bool:
    """Write what a run came to into a model card; return whether anything changed.

    Results and text of others stay byte for byte, but for the layout of `model-index`. The card
    is made when there is none. It follows from the run alone, so a second time changes no byte.

    Raises:
        RegistryError: the card is no text, its metadata are no YAML, or the run makes no claim.
    """
    try:
        before = path.read_bytes().decode("utf-8") if path.exists() else ""
    except (UnicodeDecodeError, OSError) as error:
        raise RegistryError(f"{path} cannot be read: {error}") from None
    after = _with_section(_with_index(before, run, path), run, path)
    if after == before:
        return False
    replace_content(path, after.encode("utf-8"))
    return True


def eval_results(run: Run, dataset: str, task: str) -> str:
    """Return the content of a file in `.eval_results/` of the model's repository.

    Args:
        run: with a claim.
        dataset: id of the benchmark data set on the hub that this result is of.
        task: its task.
    """
    import yaml
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    certificate = run.certificate
    entry = EvalResultEntry(
        dataset_id=dataset,
        task_id=task,
        value=certificate.score,
        date=run.finished,
        notes=f"MQS of 1000, {certificate.status}, tier {run.plan.tier}, {run.plan.playbook}",
    )
    text: str = yaml.safe_dump(eval_result_entries_to_yaml([entry]), sort_keys=False)
    return text


def _with_index(card: str, run: Run, path: Path) -> str:
    """Return a card whose metadata hold the results of a run, after those of others."""
    import yaml

    front = _FRONT.match(card)
    text = front[1] if front else ""
    try:
        metadata = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise RegistryError(f"{path}: its metadata are no YAML: {error}") from None
    known = metadata.get(KEY) if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(known or [], list):
        raise RegistryError(f"{path}: its metadata are no mapping with a list {KEY}")
    index = _index(known or [], run)
    block = yaml.safe_dump({KEY: index}, sort_keys=False, allow_unicode=True)
    replaced, count = _BLOCK.subn(lambda _: block, text, count=1)
    if not count:
        replaced = text + block
    if yaml.safe_load(replaced) != metadata | {KEY: index}:
        raise RegistryError(f"{path}: {KEY} must stand as a block of lines without comments in it")
    body = card[front.end() :] if front else f"\n# {run.plan.model_id}\n" * (not card) + card
    return f"---\n{replaced}---\n{body}"


def _index(known: list[Any], run: Run) -> list[Any]:
    """Return the model index with our results in place of earlier ones of the same playbook."""
    ours = _results(run)
    kept = [
        result
        for model in known[:1]
        for result in model.get("results", [])
        if result.get("dataset") != ours["dataset"]
    ]
    name = known[0].get("name") if known else run.plan.model_id.rpartition("/")[2]
    return [{"name": name, "results": [*kept, ours]}, *known[1:]]


def _results(run: Run) -> dict[str, Any]:
    return {
        "task": {"type": "text-generation", "name": "Certification of the files"},
        "dataset": {"type": DATASET_TYPE, "name": run.plan.playbook, "config": run.plan.tier.value},
        "metrics": list(_metrics(run)),
    }


def _metrics(run: Run) -> Iterator[dict[str, Any]]:
    certificate, proof = run.certificate, run.certificate.proof
    yield {"type": "mqs", "value": certificate.score, "name": "Model qualification score of 1000"}
    yield {
        "type": "pass_rate_lower_bound",
        "value": round(proof.lower_bound, 4),
        "name": f"Pass rate proven at 95 % over {proof.prompts} prompts",
    }
    for column, rate in _rates(_row(run)):
        name = "Decoded tokens a second, " + column.removeprefix("tps_").replace("_", " on ")
        yield {"type": column, "value": float(rate), "name": name}


def _rates(row: RegistryRow) -> Iterator[tuple[str, str]]:
    columns = row.columns()
    yield from ((name, rate) for name, rate in columns.items() if name.startswith("tps_") and rate)


def _row(run: Run) -> RegistryRow:
    row = row_from_run(run, None)
    if row is None:
        raise RegistryError(
            f"the run of {run.plan.model_id} makes no claim: {run.failure or 'none'}"
        )
    return row


def _with_section(card: str, run: Run, path: Path) -> str:
    """Return a card with the certificate between its markers, at the end when it has none."""
    section = f"{START}\n{_section(run)}\n{END}"
    counts = card.count(START), card.count(END)
    if counts == (0, 0):
        gap = "" if not card or card.endswith("\n\n") else "\n" if card.endswith("\n") else "\n\n"
        return f"{card}{gap}{section}\n"
    before, _, rest = card.partition(START)
    _, found, after = rest.partition(END)
    if counts != (1, 1) or not found:
        raise RegistryError(f"{path} must hold {START} and {END} once each, in this order")
    return f"{before}{section}{after}"


def _section(run: Run) -> str:
    certificate = run.certificate
    row = _row(run).columns()
    gateways = ", ".join(f"{gate} {result.outcome}" for gate, result in run.mqs.gateways.items())
    digests = [
        f"| {form} | `{artifact.digest}` |" for form, artifact in sorted(run.artifacts.items())
    ]
    cpu_only = ", cpu only" if certificate.cpu_only else ""
    verdict = (
        f"**{certificate.status}**, MQS {certificate.score} of 1000, grade {certificate.grade}, "
        f"tier {certificate.tier}{cpu_only}, on {run.finished[:10]}."
    )
    lines = [
        "## Certification of the files",
        "",
        verdict,
        "",
        f"* Gateways: {gateways}",
        f"* Proven: {certificate.proven}",
        f"* Provenance verified: {row['provenance_verified']}",
        "",
        "| format | sha256 over its files |",
        "| --- | --- |",
        *digests,
    ]
    return "\n".join(lines)
