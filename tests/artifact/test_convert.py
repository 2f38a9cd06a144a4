from __future__ import annotations

import hashlib
import json
import re
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_aprqa.artifact.apr_write import write_apr
from pytest_aprqa.artifact.conversion_record import RECORD_FILE, record_of
from pytest_aprqa.artifact.convert import convert, record_digest
from pytest_aprqa.artifact.digest import DigestCache
from pytest_aprqa.artifact.files import make_artifact
from pytest_aprqa.artifact.gguf_value import GgufType, GgufValue
from pytest_aprqa.artifact.gguf_write import write_gguf
from pytest_aprqa.artifact.model import Artifact, ArtifactError, ArtifactFault
from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.artifact.safetensors_write import write_safetensors
from pytest_aprqa.artifact.tensor_file import DType
from pytest_aprqa.artifact.tensor_source import TensorSource
from pytest_aprqa.words import Format

Q = "model.layers.0.self_attn.q_proj.weight"
NORM = "model.norm.weight"
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"


@pytest.fixture
def model(tiny_models: Any, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_models.directory / "llama-bf16", tmp_path / "model"))


def artifact(path: Path, form: Format = Format.SAFETENSORS) -> Artifact:
    return make_artifact(form, path, "tests", DigestCache())


def record(made: Artifact) -> dict[str, Any]:
    stated: dict[str, Any] = json.loads(record_of(made).read_text())
    return stated


def dtypes(path: Path) -> set[DType]:
    with open_tensors(path) as file:
        return {info.dtype for info in file.tensors.values()}


def edit_config(model: Path, **changes: Any) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, **changes}))


def test_apr_keeps_every_byte_and_adds_the_tied_head(model: Path, tmp_path: Path) -> None:
    made = convert(artifact(model), Format.APR, tmp_path / "apr")
    with open_tensors(model) as one, open_tensors(made.path) as other:
        assert set(other.tensors) == {*one.tensors, HEAD}
        for name in one.tensors:
            assert np.array_equal(one.raw(name), other.raw(name))
        assert np.array_equal(other.raw(HEAD), one.raw(EMBEDDING))
        metadata = other.metadata
    assert metadata["tied_embeddings"] is True
    assert (metadata["architecture"], metadata["hf_model_type"]) == ("llama", "llama")
    assert (metadata["num_layers"], metadata["num_kv_heads"], metadata["rope_type"]) == (2, 2, 2)
    assert metadata["chat_template"].startswith("{% for")
    assert len(metadata["tokenizer.vocabulary"]) == 400
    assert record(made)["dtype_changes"] == []


def test_apr_spells_no_field_twice(model: Path, tmp_path: Path) -> None:
    made = convert(artifact(model), Format.APR, tmp_path / "apr")
    with open_tensors(made.path) as file:
        keys = set(file.metadata)
    aliases = {"hidden_dim", "num_hidden_layers", "n_layers", "num_attention_heads", "n_heads"}
    aliases |= {"num_key_value_heads", "max_seq_len", "context_length", "norm_eps", "n_vocab"}
    assert keys.isdisjoint(aliases)


def test_gguf_reverses_shapes_and_moves_no_value_but_rotary_rows(
    model: Path, tmp_path: Path
) -> None:
    made = convert(artifact(model), Format.GGUF, tmp_path / "gguf")
    with open_tensors(model) as one, open_tensors(made.path) as other:
        down = "model.layers.1.mlp.down_proj.weight"
        assert np.array_equal(one.raw(down), other.raw("blk.1.ffn_down.weight"))
        ours, theirs = one.read(Q), other.read("blk.0.attn_q.weight")
    assert not np.array_equal(ours, theirs)
    assert sorted(map(tuple, ours.tolist())) == sorted(map(tuple, theirs.tolist()))
    from gguf import GGUFReader

    tensors = {tensor.name: tensor for tensor in GGUFReader(made.path).tensors}
    assert tensors["blk.1.ffn_down.weight"].shape.tolist() == [96, 64]


def test_what_changes_its_dtype_is_on_record(model: Path, tmp_path: Path) -> None:
    made = convert(artifact(model), Format.GGUF, tmp_path / "gguf")
    changes = record(made)["dtype_changes"]
    assert {"tensor": NORM, "source": "BF16", "target": "F32", "lossless": True} in changes
    assert len(changes) == 5  # two norms a layer and the last one
    assert record(made)["source"]["digest"] == artifact(model).digest


def test_the_digest_is_on_record_once_it_is_known(model: Path, tmp_path: Path) -> None:
    digests = DigestCache()
    made = convert(artifact(model), Format.SAFETENSORS, tmp_path / "made", digests=digests)
    before = record(made)
    assert before["target"] == {"format": "safetensors"}
    record_digest(made, digests)
    after = record(made)
    assert {**before, "target": after["target"]} == after
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in made.files}
    assert after["target"] == {"format": "safetensors", "digest": made.digest, "files": files}


@pytest.mark.parametrize(
    ("form", "quantization", "expected"),
    [
        (Format.GGUF, "Q8_0", {DType.Q8_0, DType.F32}),
        (Format.GGUF, "q4_1", {DType.Q4_1, DType.F32}),
        (Format.GGUF, "F16", {DType.F16, DType.F32}),
        (Format.APR, "int8", {DType.APR_Q8, DType.BF16}),
        (Format.APR, "APR_Q4", {DType.APR_Q4, DType.BF16}),
        (Format.APR, "fp16", {DType.F16, DType.BF16}),
        (Format.SAFETENSORS, "F32", {DType.F32}),
    ],
)
def test_matrices_are_quantised_and_vectors_are_not(
    model: Path, tmp_path: Path, form: Format, quantization: str, expected: set[DType]
) -> None:
    made = convert(artifact(model), form, tmp_path / "made", quantization)
    assert dtypes(made.path) == expected
    changes = {change["tensor"]: change for change in record(made)["dtype_changes"]}
    assert changes[Q]["lossless"] is (quantization == "F32")
    assert record(made)["quantization"] == quantization


@pytest.mark.parametrize(
    ("form", "quantization"),
    [(Format.GGUF, "Q9_X"), (Format.GGUF, "APR_Q4"), (Format.APR, "Q4_1"), (Format.GGUF, "IQ1_S")],
)
def test_a_quantisation_that_cannot_be_made_is_named(
    model: Path, tmp_path: Path, form: Format, quantization: str
) -> None:
    with pytest.raises(ArtifactError, match=quantization) as caught:
        convert(artifact(model), form, tmp_path / "made", quantization)
    assert caught.value.fault is ArtifactFault.UNSUPPORTED
    assert not (tmp_path / "made").exists()


def test_a_quantised_gguf_becomes_float32(model: Path, tmp_path: Path) -> None:
    gguf = convert(artifact(model), Format.GGUF, tmp_path / "gguf", "Q8_0")
    made = convert(gguf, Format.SAFETENSORS, tmp_path / "made")
    assert dtypes(made.path) == {DType.F32}
    assert made.derived
    assert json.loads((made.path / "config.json").read_text())["dtype"] == "float32"
    with open_tensors(gguf.path) as one, open_tensors(made.path) as other:
        assert np.array_equal(one.read("token_embd.weight"), other.read(EMBEDDING))


def test_blocks_that_apr_knows_stay_as_they_are(model: Path, tmp_path: Path) -> None:
    with open_tensors(model) as file:
        wide = {name: file.read(name) for name in file.tensors}
    rng = np.random.default_rng(3)
    embedding = rng.normal(size=(400, 256)).astype(np.float32)
    assert wide[EMBEDDING].shape != embedding.shape
    config = {"hidden_size": 256, "head_dim": 16, "num_hidden_layers": 1, "intermediate_size": 256}
    edit_config(model, **config)
    shapes = {
        name: tuple({400: 400, 64: 256, 96: 256, 32: 32}[size] for size in values.shape)
        for name, values in wide.items()
        if ".1." not in name
    }
    shapes = {name: (64, 256) if "q_proj" in name else shape for name, shape in shapes.items()}
    shapes = {name: (256, 64) if "o_proj" in name else shape for name, shape in shapes.items()}
    sources = [
        TensorSource(name, DType.F32, shape, partial(random_bytes, shape))
        for name, shape in shapes.items()
    ]
    write_safetensors(model / "model.safetensors", sources)
    gguf = convert(artifact(model), Format.GGUF, tmp_path / "gguf", "Q6_K")
    apr = convert(gguf, Format.APR, tmp_path / "apr")
    with open_tensors(gguf.path) as one, open_tensors(apr.path) as other:
        assert other.tensors[EMBEDDING].dtype is DType.Q6_K
        assert np.array_equal(one.raw("token_embd.weight"), other.raw(EMBEDDING))
        rows = other.read(Q)
        assert sorted(map(tuple, rows.tolist())) == sorted(
            map(tuple, one.read("blk.0.attn_q.weight").tolist())
        )


def random_bytes(shape: tuple[int, ...]) -> Any:
    values = np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)
    return values.view(np.uint8).reshape(-1)


def test_an_apr_with_the_names_of_gguf_is_understood(model: Path, tmp_path: Path) -> None:
    """Upstream's importer keeps `blk.*` names and interleaved rows of a llama GGUF."""
    gguf = convert(artifact(model), Format.GGUF, tmp_path / "gguf")
    ours = convert(artifact(model), Format.APR, tmp_path / "apr")
    with open_tensors(gguf.path) as weights, open_tensors(ours.path) as described:
        tensors = [
            TensorSource(name, info.dtype, info.shape, partial(weights.raw, name))
            for name, info in weights.tensors.items()
        ]
        metadata = {k: v for k, v in described.metadata.items() if k not in ("hf_config", "name")}
        write_apr(tmp_path / "foreign.apr", tensors, metadata)
    made = convert(
        artifact(tmp_path / "foreign.apr", Format.APR), Format.SAFETENSORS, tmp_path / "made"
    )
    with open_tensors(model) as one, open_tensors(made.path) as other:
        assert set(one.tensors) == set(other.tensors)
        for name in one.tensors:
            assert np.array_equal(one.read(name), other.read(name))


def test_the_result_replaces_what_stood_there(model: Path, tmp_path: Path) -> None:
    target = tmp_path / "made"
    target.mkdir()
    (target / "old.apr").write_text("old")
    convert(artifact(model), Format.APR, target)
    assert {path.name for path in target.iterdir()} == {"model.apr", RECORD_FILE}


def test_converting_twice_gives_the_same_bytes(model: Path, tmp_path: Path) -> None:
    for form in (Format.APR, Format.GGUF):
        first = convert(artifact(model), form, tmp_path / f"{form}-1")
        second = convert(artifact(model), form, tmp_path / f"{form}-2")
        assert first.digest == second.digest


def refused(source: Artifact, tmp_path: Path, form: Format = Format.GGUF) -> ArtifactError:
    with pytest.raises(ArtifactError) as caught:
        convert(source, form, tmp_path / "made")
    assert not (tmp_path / "made").exists()
    assert not list(tmp_path.glob(".made.*"))
    return caught.value


@pytest.mark.parametrize(
    ("change", "fault", "words"),
    [
        ({"model_type": "mamba9000"}, ArtifactFault.UNSUPPORTED, "'mamba9000' is not known"),
        ({"num_hidden_layers": 3}, ArtifactFault.MALFORMED, "no tensor 'model.layers.2"),
        ({"num_hidden_layers": 1}, ArtifactFault.UNSUPPORTED, "'model.layers.1.*' has no place"),
        ({"head_dim": 8}, ArtifactFault.MALFORMED, "by the configuration it must be"),
        ({"hidden_act": "relu"}, ArtifactFault.UNSUPPORTED, "hidden_act='relu' cannot be written"),
        (
            {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0}},
            ArtifactFault.UNSUPPORTED,
            "RoPE scaling 'dynamic'",
        ),
    ],
)
def test_a_source_that_cannot_be_converted_leaves_nothing_behind(
    model: Path, tmp_path: Path, change: dict[str, Any], fault: ArtifactFault, words: str
) -> None:
    edit_config(model, **change)
    error = refused(artifact(model), tmp_path)
    assert error.fault is fault
    assert re.search(words.replace(".*", "[^']*"), error.message)


def test_what_gguf_cannot_say_apr_can(model: Path, tmp_path: Path) -> None:
    edit_config(model, rope_parameters={"rope_type": "dynamic", "factor": 2.0})
    apr = convert(artifact(model), Format.APR, tmp_path / "apr")
    back = convert(apr, Format.SAFETENSORS, tmp_path / "back")
    stated = json.loads((back.path / "config.json").read_text())["rope_parameters"]
    assert stated == {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}


@pytest.mark.parametrize("name", ["mistral-window", "starcoder2-window"])
def test_the_context_of_a_gguf_ends_with_a_window_that_llama_cpp_does_not_apply(
    tiny_models: Any, tmp_path: Path, name: str
) -> None:
    source = tiny_models.artifact(name)
    made = convert(source, Format.GGUF, tmp_path / "gguf")
    with open_tensors(made.path) as file:
        architecture = file.metadata["general.architecture"]
        assert file.metadata[f"{architecture}.context_length"] == 64
        assert file.metadata[f"{architecture}.attention.sliding_window"] == 64
    (note,) = record(made)["notes"]
    assert "context_length is 64, the sliding window, not 256" in note
    assert record(convert(source, Format.APR, tmp_path / "apr"))["notes"] == []


def test_a_window_that_llama_cpp_applies_leaves_the_context_alone(
    tiny_models: Any, tmp_path: Path
) -> None:
    shutil.copytree(tiny_models.directory / "gemma2", tmp_path / "model")
    edit_config(tmp_path / "model", sliding_window=64)
    made = convert(artifact(tmp_path / "model"), Format.GGUF, tmp_path / "gguf")
    with open_tensors(made.path) as file:
        assert file.metadata["gemma2.context_length"] == 256
    assert record(made)["notes"] == []


def test_a_pre_tokenizer_without_a_name_is_unsupported(model: Path, tmp_path: Path) -> None:
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    pattern = {"Regex": "[a-m]+|[^a-m]+"}
    split = {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}
    level = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}
    tokenizer["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, level]}
    (model / "tokenizer.json").write_text(json.dumps(tokenizer))
    error = refused(artifact(model), tmp_path)
    assert error.fault is ArtifactFault.UNSUPPORTED
    assert "[a-m]+" in error.message


def test_a_gguf_without_architecture_is_malformed(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    data = np.zeros(4, np.uint8)
    tensor = TensorSource("token_embd.weight", DType.F32, (1, 1), lambda: data)
    write_gguf(path, [tensor], [GgufValue("general.name", GgufType.STRING, "x")])
    error = refused(artifact(path, Format.GGUF), tmp_path, Format.SAFETENSORS)
    assert (error.fault, error.rule) == (ArtifactFault.MALFORMED, "G0-CONFIG")


def test_a_full_disk_or_forbidden_place_is_the_environments_fault(
    model: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError) as caught:
        convert(artifact(model), Format.APR, tmp_path / "file" / "made")
    assert caught.value.fault is ArtifactFault.ENVIRONMENT
