"""The sound artifacts that faults are seeded into, all made from one model."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from pytest_aprqa.artifact.convert import convert
from pytest_aprqa.artifact.files import make_artifact
from pytest_aprqa.artifact.model import Artifact
from pytest_aprqa.artifact.names import head_and_embedding
from pytest_aprqa.artifact.prepare import Workshop
from pytest_aprqa.artifact.safetensors_file import SafeTensorsFile
from pytest_aprqa.artifact.safetensors_write import write_sharded_safetensors
from pytest_aprqa.artifact.tensor_source import TensorSource
from pytest_aprqa.falsify.fault import WEIGHTS, NotApplicableError, Original, Sample
from pytest_aprqa.falsify.statements import hf_config
from pytest_aprqa.falsify.tokenizer import state_start
from pytest_aprqa.falsify.weights_file import Stored, WeightsFile, edited
from pytest_aprqa.words import Format

_DTYPES: dict[Original, dict[Format, str]] = {
    Original.F32: dict.fromkeys(Format, "F32"),
    Original.F16: dict.fromkeys(Format, "F16"),
    Original.EIGHT: {Format.APR: "APR_Q8", Format.GGUF: "Q8_0"},
    Original.FOUR: {Format.APR: "APR_Q4", Format.GGUF: "Q4_0"},
}
_BIAS = 0.5
"""Size of the biases of BIASED, a tenth and more of what a value projection gives."""


class Originals:
    """Directories with SafeTensors, APR and GGUF of one model, each made when first asked for."""

    def __init__(self, workshop: Workshop, root: Path) -> None:
        """Prepare to make originals from the SafeTensors of a workshop, below `root`."""
        self._workshop = workshop
        self.digests = workshop.digests
        self._root = root
        self._made: dict[Original, Path] = {}
        self._lock = threading.Lock()

    def directory(self, original: Original) -> Path:
        """Return the directory of an original.

        Raises:
            ArtifactError: the model cannot be found or converted.
            NotApplicableError: there is no such original of this model.
        """
        with self._lock:
            if original not in self._made:
                self._made[original] = self._make(original)
            return self._made[original]

    def sample(self, original: Original, form: Format, directory: Path) -> Sample:
        """Copy the SafeTensors of an original, and its file of another format, to a directory."""
        source = self.directory(original)
        others = {
            name for other, name in WEIGHTS.items() if other not in (form, Format.SAFETENSORS)
        }
        shutil.copytree(source, directory, ignore=lambda *_: others, copy_function=shutil.copyfile)
        return Sample(form, directory)

    def _make(self, original: Original) -> Path:
        directory = self._root / original.value.replace(" ", "-")
        directory.mkdir(parents=True)
        source = self._workshop.artifact(Format.SAFETENSORS)
        dtypes = _DTYPES.get(original, {})
        if Format.SAFETENSORS in dtypes:
            source = self._workshop.artifact(Format.SAFETENSORS, dtypes[Format.SAFETENSORS])
        for path in source.files:
            shutil.copyfile(path, directory / path.name)
        if original in _CHANGES:
            _CHANGES[original](Sample(Format.SAFETENSORS, directory))
        reference = make_artifact(Format.SAFETENSORS, directory, "", self._workshop.digests)
        for form in (Format.APR, Format.GGUF):
            self._convert(reference, form, dtypes.get(form), directory)
        return directory

    def _convert(self, reference: Artifact, form: Format, dtype: str | None, to: Path) -> None:
        work = to / f".{form}"
        made = convert(reference, form, work, dtype, self._workshop.digests)
        shutil.move(made.path, to / WEIGHTS[form])
        shutil.rmtree(work)


def _shard(sample: Sample) -> None:
    """Write the SafeTensors of a sample as two shards and an index."""
    with SafeTensorsFile(sample.directory) as file:
        sources = [
            TensorSource(info.name, info.dtype, info.shape, partial(file.raw, info.name))
            for info in file.tensors.values()
        ]
        most = sum(info.nbytes for info in file.tensors.values()) * 3 // 5
        write_sharded_safetensors(sample.directory, sources, most)
    sample.weights.unlink(missing_ok=True)


def _untie(sample: Sample) -> None:
    """Write the head out as a tensor of its own, with the scales of the last norm moved into it."""
    with edited(sample) as file:
        pair = head_and_embedding(file.config.architecture)
        if pair is None:
            raise NotApplicableError("the model has no output head")
        if not file.config.tied:
            return
        head, embedding = pair
        norm, matrix = file.name("model.norm.weight"), file.name(embedding)
        scales = file.values(norm)
        file.tensors[head] = Stored.of(file.values(matrix) * scales, file.tensors[matrix].dtype)
        file.put(norm, np.ones_like(scales))
    with hf_config(sample) as config:
        config["tie_word_embeddings"] = False


def _bias(sample: Sample) -> None:
    """Add biases to the projections of the attention that leave its output as it is.

    Attention weights sum to 1, so a bias b of the values adds W_o b to the output, which the bias
    of the output projection takes away again.
    """
    with edited(sample) as file:
        config = file.config
        if config.model_type != "llama" and not config.attention_bias:
            raise NotApplicableError(f"a {config.model_type} model has no place for biases")
        if config.attention_bias:
            return
        _add_biases(file)
    with hf_config(sample) as stated:
        stated["attention_bias"] = True


def _add_biases(file: WeightsFile) -> None:
    config = file.config
    generator = np.random.default_rng(0)
    shared = config.num_heads // config.num_kv_heads
    for layer in range(config.num_layers):
        prefix = f"model.layers.{layer}.self_attn"
        output = file.values(f"{prefix}.o_proj.weight")
        bias = generator.normal(0, _BIAS, (config.num_kv_heads, config.head_dim)).astype(np.float32)
        biases = {
            "q_proj": np.zeros(config.q_size, np.float32),
            "k_proj": np.zeros(config.kv_size, np.float32),
            "v_proj": bias.reshape(-1),
            "o_proj": -output @ np.repeat(bias, shared, axis=0).reshape(-1),
        }
        for name, values in biases.items():
            dtype = file.tensors[f"{prefix}.{name}.weight"].dtype
            file.tensors[f"{prefix}.{name}.bias"] = Stored.of(values, dtype)


def _start(sample: Sample) -> None:
    state_start(sample, wanted=True)


_CHANGES: dict[Original, Callable[[Sample], None]] = {
    Original.SHARDED: _shard,
    Original.STARTED: _start,
    Original.UNTIED: _untie,
    Original.BIASED: _bias,
}
