from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pytest_aprqa.artifact.apr_write import write_apr
from pytest_aprqa.artifact.gguf_write import write_gguf
from pytest_aprqa.artifact.integrity import check_structure, merged
from pytest_aprqa.artifact.model import Artifact, ArtifactError, ArtifactFault
from pytest_aprqa.artifact.safetensors_write import write_safetensors
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.artifact.tensor_source import TensorSource
from pytest_aprqa.observation import FileReport, Finding, Severity
from pytest_aprqa.words import Format

RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(0, 0.02, shape).astype(np.float32)


SOUND = {
    "model.embed_tokens.weight": normal(100, 256),
    "model.layers.0.mlp.up_proj.weight": normal(64, 256),
    "model.layers.0.self_attn.q_proj.bias": np.zeros(64, np.float32),
    "model.norm.weight": np.ones(64, np.float32),
}
EMBEDDING, WEIGHT, BIAS, NORM = SOUND


def artifact_of(path: Path, format: Format = Format.SAFETENSORS) -> Artifact:
    files = tuple(path.iterdir()) if path.is_dir() else (path,)
    return Artifact(format, path, files, "", "test")


def model(
    directory: Path, dtype: DType = DType.F32, **changed: np.ndarray
) -> tuple[Artifact, dict[str, np.ndarray]]:
    names = {"embedding": EMBEDDING, "weight": WEIGHT, "bias": BIAS, "norm": NORM}
    arrays = SOUND | {names[role]: array for role, array in changed.items()}
    sources = [TensorSource.of(name, array, dtype) for name, array in arrays.items()]
    write_safetensors(directory / "model.safetensors", sources)
    return artifact_of(directory), arrays


def rules(report: FileReport) -> list[tuple[str, str]]:
    return [(finding.rule, finding.where.split("'")[1]) for finding in report.errors]


@pytest.mark.parametrize("dtype", [DType.F32, DType.F16, DType.BF16])
def test_a_sound_model_gives_no_finding_and_says_what_was_looked_at(
    tmp_path: Path, dtype: DType
) -> None:
    artifact, arrays = model(tmp_path, dtype)
    report = check_structure(artifact)
    assert report.findings == ()
    elements = sum(array.size for array in arrays.values())
    assert report.checked == {
        "digests": 0,
        "files": 1,
        "tensors": 4,
        "elements": elements,
        "bytes": elements * (4 if dtype is DType.F32 else 2),
    }


def with_zeros(array: np.ndarray, share: float) -> np.ndarray:
    """Zero single values, spread so that no row dies."""
    changed = array.copy()
    places = np.random.default_rng(1).permutation(array.size)[: int(array.size * share)]
    changed.reshape(-1)[places] = 0
    return changed


def with_dead_rows(array: np.ndarray, count: int) -> np.ndarray:
    changed = array.copy()
    changed[:count] = 0
    return changed


def with_value(array: np.ndarray, value: float) -> np.ndarray:
    changed = array.copy()
    changed.reshape(-1)[-1] = value
    return changed


@pytest.mark.parametrize(
    ("role", "array", "rule"),
    [
        ("weight", with_value(SOUND[WEIGHT], np.nan), "F-DATA-QUALITY-002"),
        ("norm", with_value(SOUND[NORM], np.inf), "F-DATA-QUALITY-002"),
        ("bias", with_value(SOUND[BIAS], -np.inf), "F-DATA-QUALITY-002"),
        ("embedding", with_zeros(SOUND[EMBEDDING], 0.55), "F-DATA-QUALITY-001"),
        ("weight", with_zeros(SOUND[WEIGHT], 0.85), "F-DATA-QUALITY-001"),
        ("weight", np.zeros((64, 256), np.float32), "F-DATA-QUALITY-003"),
        ("weight", normal(64, 256) * 1e-9, "F-DATA-QUALITY-003"),
        ("norm", np.zeros(64, np.float32), "F-DATA-QUALITY-003"),
        ("weight", np.full((64, 256), 0.02, np.float32), "F-DATA-QUALITY-003"),
        ("weight", with_dead_rows(SOUND[WEIGHT], 17), "F-DATA-QUALITY-005"),
    ],
)
def test_a_broken_tensor_is_named_with_the_rule_it_breaks(
    tmp_path: Path, role: str, array: np.ndarray, rule: str
) -> None:
    artifact, _ = model(tmp_path, **{role: array})
    name = {"embedding": EMBEDDING, "weight": WEIGHT, "bias": BIAS, "norm": NORM}[role]
    report = check_structure(artifact)
    assert rules(report) == [(rule, name)]
    assert name in report.errors[0].message


@pytest.mark.parametrize(
    ("role", "array"),
    [
        ("embedding", with_zeros(SOUND[EMBEDDING], 0.45)),
        ("weight", with_zeros(SOUND[WEIGHT], 0.75)),
        ("embedding", with_dead_rows(SOUND[EMBEDDING], 25)),
        ("norm", np.full(64, 0.5, np.float32)),
        ("bias", np.full(64, 0.5, np.float32)),
    ],
)
def test_what_sound_models_may_hold_is_no_finding(
    tmp_path: Path, role: str, array: np.ndarray
) -> None:
    artifact, _ = model(tmp_path, **{role: array})
    assert check_structure(artifact).findings == ()


@pytest.mark.parametrize("dtype", [DType.Q8_0, DType.Q4_1, DType.Q6_K, DType.Q4_K])
def test_a_broken_block_scale_of_a_gguf_is_found(tmp_path: Path, dtype: DType) -> None:
    path = tmp_path / "m.gguf"
    source = TensorSource.of("blk.0.ffn_up.weight", normal(64, 256), dtype)
    write_gguf(path, [source], [])
    assert check_structure(artifact_of(path, Format.GGUF)).findings == ()
    raw = source.data().copy()
    block = raw.size // 64 // (1 if dtype in (DType.Q6_K, DType.Q4_K) else 8)
    place = 5 * block + (208 if dtype is DType.Q6_K else 0)
    raw[place : place + 2] = np.array([np.nan], np.float16).view(np.uint8)
    broken = TensorSource(source.name, dtype, source.shape, lambda: raw)
    write_gguf(path, [broken], [])
    report = check_structure(artifact_of(path, Format.GGUF))
    assert rules(report) == [("F-DATA-QUALITY-002", "blk.0.ffn_up.weight")]


def test_the_embedding_of_a_gguf_is_known_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    zeroed = with_zeros(SOUND[EMBEDDING], 0.55)
    write_gguf(path, [TensorSource.of("token_embd.weight", zeroed, DType.F32)], [])
    report = check_structure(artifact_of(path, Format.GGUF))
    assert rules(report) == [("F-DATA-QUALITY-001", "token_embd.weight")]


def test_a_malformed_file_is_one_finding_with_its_rule(tmp_path: Path) -> None:
    path = tmp_path / "m.apr"
    write_apr(path, [TensorSource.of("w", normal(4, 4), DType.F32)], {})
    path.write_bytes(path.read_bytes()[:-8])
    report = check_structure(artifact_of(path, Format.APR))
    (finding,) = report.findings
    assert finding.severity is Severity.ERROR
    assert finding.rule == "G0-TRUNCATED"
    assert "m.apr" in finding.message


def test_a_file_of_another_format_than_it_should_be_is_found(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    write_safetensors(path, [TensorSource.of("w", normal(4, 4), DType.F32)])
    report = check_structure(artifact_of(path, Format.GGUF))
    assert [finding.rule for finding in report.errors] == ["G0-FORMAT"]


def test_a_file_without_tensors_does_not_pass(tmp_path: Path) -> None:
    path = tmp_path / "m.apr"
    write_apr(path, [], {})
    report = check_structure(artifact_of(path, Format.APR))
    assert [finding.rule for finding in report.errors] == ["G0-EMPTY"]


def test_types_that_the_apr_server_misreads_give_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "m.apr"
    ids = np.arange(8, dtype=np.int64).view(np.uint8)
    write_apr(path, [TensorSource("ids", DType.I64, (8,), lambda: ids)], {})
    report = check_structure(artifact_of(path, Format.APR))
    assert report.errors == ()
    assert [finding.severity for finding in report.findings] == [Severity.WARNING]


def test_a_type_that_cannot_be_decoded_is_not_counted_as_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    blocks = np.ones(2 * 40, np.uint8)
    write_gguf(path, [TensorSource("w", DType.Q8_1, (2, 32), lambda: blocks)], [])
    report = check_structure(artifact_of(path, Format.GGUF))
    assert report.checked["tensors"] == 0
    assert [(f.rule, f.severity) for f in report.findings] == [("G0-DTYPE", Severity.WARNING)]


def test_digests_are_compared_where_they_are_stated(tmp_path: Path) -> None:
    artifact, _ = model(tmp_path)
    path = tmp_path / "model.safetensors"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    right = replace(artifact, expected_sha256={path.name: digest, "other.gguf": "0" * 64})
    report = check_structure(right)
    assert (report.findings, report.checked["digests"]) == ((), 1)
    wrong = replace(artifact, expected_sha256={path.name: "0" * 64})
    (finding,) = check_structure(wrong).findings
    assert (finding.rule, finding.where) == ("G0-DIGEST", path.name)


def test_what_is_not_the_files_fault_is_no_finding(tmp_path: Path) -> None:
    artifact, _ = model(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ArtifactError) as caught:
        check_structure(artifact)
    assert caught.value.fault is ArtifactFault.NOT_FOUND


def test_reports_are_merged_with_errors_first_and_counts_added() -> None:
    warning = Finding("A", "a warning", Severity.WARNING)
    error = Finding("B", "an error")
    report = merged((FileReport((warning,), {"files": 1}), FileReport((error,), {"files": 2})))
    assert report == FileReport((error, warning), {"files": 3})
