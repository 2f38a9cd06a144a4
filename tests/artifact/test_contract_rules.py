"""Each rule of the contract has a fault that breaks it and no other rule.

The rules are those of contract/rules.yaml. One without a fault here fails this file, and so does a
rule that the code names and the contract does not.
"""

from __future__ import annotations

import json
import pickle
import re
import shutil
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_aprqa.artifact.check import check_artifact
from pytest_aprqa.artifact.contract_rules import contract_rules
from pytest_aprqa.artifact.convert import convert
from pytest_aprqa.artifact.digest import DigestCache
from pytest_aprqa.artifact.files import make_artifact
from pytest_aprqa.artifact.integrity_contract import data_quality
from pytest_aprqa.artifact.model import Artifact
from pytest_aprqa.artifact.open import open_tensors
from pytest_aprqa.artifact.safetensors_write import write_safetensors, write_sharded_safetensors
from pytest_aprqa.artifact.tensor_source import TensorSource
from pytest_aprqa.observation import Severity
from pytest_aprqa.playbook.model_spec import ModelSpec
from pytest_aprqa.words import Format

LAYER = "model.layers.{}.mlp.up_proj.weight"
UP, OTHER_UP = LAYER.format(0), LAYER.format(1)
NORM, EMBEDDING, HEAD = "model.norm.weight", "model.embed_tokens.weight", "lm_head.weight"
Values = np.ndarray[Any, np.dtype[np.float32]]


@dataclass
class Bench:
    """A sound model whose files may be spoilt.

    Attributes:
        directory: its SafeTensors.
        reference: a sound copy of them.
        spoilt: what is checked; the SafeTensors unless a fault says otherwise.
        stated: sha256 of files, as published.
        model: what a playbook expects.
        alone: it is the reference itself, and compared with no other.
    """

    directory: Path
    reference: Artifact
    spoilt: tuple[Format, Path] | None = None
    stated: dict[str, str] = field(default_factory=dict)
    model: ModelSpec | None = None
    alone: bool = False

    @property
    def weights(self) -> Path:
        return self.directory / "model.safetensors"

    def config(self, **changes: Any) -> None:
        path = self.directory / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    def tensors(self) -> dict[str, TensorSource]:
        with open_tensors(self.reference.path) as file:
            return {
                name: TensorSource(name, info.dtype, info.shape, file.raw(name).copy)
                for name, info in file.tensors.items()
            }

    def write(self, tensors: dict[str, TensorSource]) -> None:
        write_safetensors(self.weights, list(tensors.values()))

    def change(self, name: str, edit: Callable[[Values], Values]) -> None:
        tensors = self.tensors()
        old = tensors[name]
        array = old.data().copy().view(np.float32).reshape(old.shape)
        tensors[name] = TensorSource.of(name, edit(array), old.dtype)
        self.write(tensors)

    def patch(self, old: bytes, new: bytes) -> None:
        data = self.weights.read_bytes()
        assert data.count(old) >= 1
        self.weights.write_bytes(data.replace(old, new, 1))

    def convert(self, form: Format) -> Path:
        made = convert(self.reference, form, self.directory.with_name(str(form)))
        self.spoilt = (form, made.path)
        return made.path

    def apr(self, edit: Callable[[bytearray], object], *, sealed: bool = True) -> None:
        """Spoil an APR file, and unless told otherwise make its checksums right again."""
        path = self.convert(Format.APR)
        data = bytearray(path.read_bytes())
        edit(data)
        if sealed:
            struct.pack_into("<I", data, 40, zlib.crc32(data[:40] + data[44:64]))
            struct.pack_into("<I", data, len(data) - 4, zlib.crc32(data[:-4]))
        path.write_bytes(data)

    def broken(self) -> dict[str, Severity]:
        form, path = self.spoilt or (Format.SAFETENSORS, self.directory)
        artifact = make_artifact(form, path, "tests", DigestCache())
        artifact = replace(artifact, expected_sha256=self.stated)
        report = check_artifact(artifact, self.model, None if self.alone else self.reference)
        return {
            finding.rule: finding.severity
            for finding in reversed(report.findings)
            if finding.severity is not Severity.INFO
        }


@pytest.fixture
def bench(rule: str, tiny_models: Any, tmp_path: Path) -> Bench:
    name = {"F-LAYOUT-CONTRACT-003": "llama-tied", "G0-SCALE": "smollm3"}.get(rule, "llama")
    shutil.copytree(tiny_models.directory / name, tmp_path / "model")
    return Bench(tmp_path / "model", tiny_models.artifact(name))


def zeros(share: float) -> Callable[[Values], Values]:
    def edit(array: Values) -> Values:
        places = np.random.default_rng(1).permutation(array.size)[: int(array.size * share)]
        array.reshape(-1)[places] = 0
        return array

    return edit


def first(value: float, rows: int = 0) -> Callable[[Values], Values]:
    def edit(array: Values) -> Values:
        array[:rows] = value
        if not rows:
            array.reshape(-1)[0] = value
        return array

    return edit


def reversed_shape(bench: Bench, name: str) -> None:
    tensors = bench.tensors()
    tensors[name] = replace(tensors[name], shape=tensors[name].shape[::-1])
    bench.write(tensors)


def other_head(bench: Bench) -> None:
    tensors = bench.tensors()
    rolled = np.roll(tensors[EMBEDDING].data(), 256)
    tensors[HEAD] = replace(tensors[EMBEDDING], name=HEAD, data=lambda: rolled)
    bench.write(tensors)


def broken_template(bench: Bench) -> None:
    (bench.directory / "chat_template.jinja").write_text("{% for %}")
    bench.alone = True


def end_that_no_token_is(bench: Bench) -> None:
    path = bench.directory / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token_id": [2, 400]}))


def copied(bench: Bench) -> None:
    tensors = bench.tensors()
    tensors[OTHER_UP] = replace(tensors[UP], name=OTHER_UP)
    bench.write(tensors)


def dropped(bench: Bench, name: str) -> None:
    tensors = bench.tensors()
    del tensors[name]
    bench.write(tensors)


def added(bench: Bench) -> None:
    tensors = bench.tensors()
    tensors["spare"] = replace(tensors[NORM], name="spare")
    bench.write(tensors)


def u64(data: bytearray, at: int) -> int:
    return int(struct.unpack_from("<Q", data, at)[0])


def in_index(at: int, fields: str, value: int) -> Callable[[bytearray], None]:
    return lambda data: struct.pack_into(f"<{fields}", data, u64(data, 24) + at, value)


def in_first_entry(back: int, value: int) -> Callable[[bytearray], None]:
    """Set a u64 of the first entry, counted from its end."""

    def edit(data: bytearray) -> None:
        start = u64(data, 24)
        name = struct.unpack_from("<H", data, start)[0]
        end = start + 4 + name + 8 * data[start + 3 + name] + 16
        struct.pack_into("<Q", data, end - back, value)

    return edit


def shifted_by_32(data: bytearray) -> None:
    in_first_entry(16, 32)(data)


def alias(data: bytearray) -> None:
    old = b'"hf_architecture":"LlamaForCausalLM"'
    at = data.index(old)
    data[at : at + len(old)] = b'"n_embd":64'.ljust(len(old))


def flip_last_weight(data: bytearray) -> None:
    data[u64(data, 32) + 2] ^= 1


def fill_padding(data: bytearray) -> None:
    data[u64(data, 24) - 1] = 1  # the metadata are not a multiple of 64 long


def no_json(data: bytearray) -> None:
    data[64] = ord("[")


def index_to_nowhere(bench: Bench) -> None:
    bench.weights.unlink()
    write_sharded_safetensors(bench.directory, list(bench.tensors().values()), 50_000)
    path = bench.directory / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"][NORM] = "model-of-nobody.safetensors"
    path.write_text(json.dumps(index))


def twice_in_shards(bench: Bench) -> None:
    bench.weights.unlink()
    tensors = bench.tensors()
    *shards, _ = write_sharded_safetensors(bench.directory, list(tensors.values()), 50_000)
    for shard in shards:
        with open_tensors(shard) as file:
            held = [tensors[name] for name in file.tensors]
        if NORM not in file.tensors:
            write_safetensors(shard, [*held, tensors[NORM]])
            return


def another_format(bench: Bench) -> None:
    path = bench.convert(Format.GGUF)
    bench.spoilt = (Format.APR, path.rename(path.with_suffix(".apr")))


def other_merges(bench: Bench) -> None:
    path = bench.directory / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    merges = tokenizer["model"]["merges"]
    merges[0], merges[1] = merges[1], merges[0]
    path.write_text(json.dumps(tokenizer))


def unpickled(bench: Bench) -> None:
    bench.weights.write_bytes(pickle.dumps({NORM: [1.0]}))


FAULTS: dict[str, Callable[[Bench], object]] = {
    "F-DATA-QUALITY-001": lambda b: b.change(UP, zeros(0.85)),
    "F-DATA-QUALITY-002": lambda b: b.change(UP, first(np.nan)),
    "F-DATA-QUALITY-003": lambda b: b.change(UP, lambda array: np.full_like(array, 0.02)),
    "F-DATA-QUALITY-005": lambda b: b.change(UP, first(0, rows=30)),
    "F-LAYOUT-CONTRACT-001": lambda b: reversed_shape(b, UP),
    "F-LAYOUT-CONTRACT-002": lambda b: reversed_shape(b, HEAD),
    "F-LAYOUT-CONTRACT-003": other_head,
    "LAYOUT-002": lambda b: b.apr(lambda data: struct.pack_into("<H", data, 6, 0x0C00)),
    "G0-ALIGNMENT": lambda b: b.apr(shifted_by_32),
    "G0-APR-ALIAS": lambda b: b.apr(alias),
    "G0-CHECKSUM": lambda b: b.apr(flip_last_weight, sealed=False),
    "G0-CONFIG": lambda b: b.config(rms_norm_eps="small"),
    "G0-CONFIG-REFERENCE": lambda b: b.config(rope_parameters={"rope_theta": 77.0}),
    "G0-DIGEST": lambda b: b.stated.update({"model.safetensors": "0" * 64}),
    "G0-DTYPE": lambda b: b.patch(b'"F32"', b'"F99"'),
    "G0-EMPTY": lambda b: b.write({}),
    "G0-EXPECTED": lambda b: setattr(
        b, "model", ModelSpec.model_validate({"hf_repo": "a/b", "expected_hidden_dim": 65})
    ),
    "G0-FILE": lambda b: b.weights.write_bytes(b""),
    "G0-FORMAT": another_format,
    "G0-GENERATION": end_that_no_token_is,
    "G0-HEADER": lambda b: b.patch(b"{", b"["),
    "G0-INDEX": index_to_nowhere,
    "G0-METADATA": lambda b: b.apr(no_json),
    "G0-MISSING-TENSOR": lambda b: dropped(b, UP),
    "G0-OFFSETS": lambda b: b.weights.write_bytes(b.weights.read_bytes() + b"more"),
    "G0-PADDING": lambda b: b.apr(fill_padding),
    "G0-PICKLE": unpickled,
    "G0-REMOTE-CODE": lambda b: b.config(auto_map={"AutoModel": "code.Model"}),
    "G0-REPEATED-TENSOR": copied,
    "G0-SCALE": lambda b: b.change(UP, lambda array: array * 1000),
    "G0-TEMPLATE": broken_template,
    "G0-TENSOR-DUPLICATE": twice_in_shards,
    "G0-TENSOR-NAME": lambda b: b.apr(in_index(0, "H", 0)),
    "G0-TENSOR-SIZE": lambda b: b.patch(b'"shape":[64]', b'"shape":[65]'),
    "G0-TEXT": lambda b: b.apr(in_index(2, "B", 0xFF)),
    "G0-TOKENIZER": lambda b: (b.directory / "tokenizer.json").unlink(),
    "G0-TOKENIZER-REFERENCE": other_merges,
    "G0-TRUNCATED": lambda b: b.weights.write_bytes(b.weights.read_bytes()[:-64]),
    "G0-UNEXPECTED-TENSOR": added,
}


@pytest.mark.parametrize("rule", contract_rules())
def test_a_rule_has_a_fault_that_breaks_it_and_no_other(bench: Bench, rule: str) -> None:
    assert bench.broken() == {}
    FAULTS[rule](bench)
    assert bench.broken() == {rule: contract_rules()[rule].severity}


def test_every_rule_that_the_code_names_is_in_the_contract() -> None:
    named = {getattr(data_quality(), section).rule for section in ("zeros", "finite")}
    named |= {getattr(data_quality(), section).rule for section in ("distribution", "dead_rows")}
    for source in files("pytest_aprqa.artifact").iterdir():
        if source.name.endswith(".py"):
            named |= set(re.findall(r'"((?:G0|F|LAYOUT)-[A-Z0-9-]+)"', source.read_text("utf-8")))
    assert named == set(contract_rules())


def test_the_documentation_lists_every_rule() -> None:
    page = (Path(__file__).parents[2] / "docs" / "formats.md").read_text("utf-8")
    for name, rule in contract_rules().items():
        assert f"| `{name}` | {rule.says} |" in page


def test_no_fault_is_left_over_from_a_rule_that_is_gone() -> None:
    assert set(FAULTS) == set(contract_rules())


@pytest.mark.parametrize("form", Format)
def test_sound_models_of_every_architecture_break_no_rule(
    tiny_models: Any, tmp_path: Path, form: Format
) -> None:
    for name in tiny_models.names:
        source = tiny_models.artifact(name)
        made = source if form is Format.SAFETENSORS else convert(source, form, tmp_path / name)
        assert check_artifact(made, reference=source).findings == (), name
