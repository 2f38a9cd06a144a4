"""The workshop: the artifact of each format, located or converted, once per machine."""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import Future, wait
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from filelock import FileLock

from pytest_aprqa.artifact.conversion_record import RECORD_FILE
from pytest_aprqa.artifact.convert import RECIPE, convert, converted_artifact, record_digest
from pytest_aprqa.artifact.digest import DigestCache
from pytest_aprqa.artifact.files import make_artifact
from pytest_aprqa.artifact.in_background import in_background
from pytest_aprqa.artifact.locate import Located, locate
from pytest_aprqa.artifact.malformed import environment
from pytest_aprqa.artifact.model import Artifact, ArtifactError, ArtifactFault
from pytest_aprqa.playbook.model_spec import ModelSpec
from pytest_aprqa.playbook.quantizations import several
from pytest_aprqa.words import Cell, Format

CACHE_VARIABLE = "APRQA_CACHE"

_YEAR_SECONDS = 365 * 24 * 3600.0


def default_cache_dir() -> Path:
    """Return where converted artifacts are kept: APRQA_CACHE, else the user's cache directory."""
    stated = os.environ.get(CACHE_VARIABLE)
    if stated:
        return Path(stated).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("pytest-aprqa")


class Workshop:
    """The artifacts of one model.

    A format that was located is used as it is; any other is converted from the reference, the
    SafeTensors, which are themselves derived when the model exists only as GGUF or APR.
    Conversions are cached by the digest of what they were made from; many processes may ask at
    once and one of them converts.
    """

    def __init__(
        self,
        model: ModelSpec,
        *,
        playbook_dir: Path,
        model_path: Path | None = None,
        model_cache: Path | None = None,
        cache_dir: Path | None = None,
        offline: bool = False,
    ) -> None:
        """Prepare to look for a model; nothing is read before the first artifact is asked for.

        Args:
            model: which model.
            playbook_dir: what relative paths in the playbook are relative to.
            model_path: file or directory of the model.
            model_cache: directory of models.
            cache_dir: where conversions, packages and digests are kept; None for the default.
            offline: never use the network.
        """
        self.model = model
        self.cache_dir = cache_dir or default_cache_dir()
        self.digests = DigestCache(self.cache_dir / "digests")
        self._playbook_dir = playbook_dir
        self._model_path = model_path
        self._model_cache = model_cache
        self._offline = offline
        self._located: Located | ArtifactError | None = None
        self._lock = threading.RLock()
        self._artifacts: dict[tuple[Format, str | None], Artifact] = {}
        self._recording: list[Future[None]] = []

    @property
    def located(self) -> Located:
        """Where the files of the model are; it is looked for once, so that a hub is asked once.

        Raises ArtifactError as `locate` does.
        """
        if self._located is None:
            try:
                self._located = locate(
                    self.model,
                    playbook_dir=self._playbook_dir,
                    model_path=self._model_path,
                    model_cache=self._model_cache,
                    cache_dir=self.cache_dir,
                    offline=self._offline,
                )
            except ArtifactError as error:
                self._located = error
        if isinstance(self._located, ArtifactError):
            raise self._located.with_traceback(None)  # else it would grow each time
        return self._located

    @property
    def source_format(self) -> Format:
        """The format everything else is converted from: SafeTensors where there are any.

        Raises ArtifactError as `locate` does, and MALFORMED when several files could be it.
        """
        found = self.located.found
        for form in (Format.SAFETENSORS, Format.GGUF, Format.APR):
            if form in found:
                return form
        names = ", ".join(here.path.name for here in found.values())
        raise ArtifactError(
            ArtifactFault.MALFORMED,
            f"there are several quantised files ({names}) and no SafeTensors to judge them by; "
            "give the SafeTensors as `local_path:`, or one of the files if it is to stand for them",
        )

    @property
    def source(self) -> Cell:
        """The artifact of `source_format`, named by its quantisation where it is tested as one."""
        found = self.located.found
        whole = Cell(self.source_format)
        for quantization in several(self.model):
            cell = Cell(whole.format, quantization=quantization)
            if str(cell) in found and found[str(cell)].path == found[str(whole)].path:
                return cell
        return whole

    def is_converted(self, form: Format, quantization: str | None = None) -> bool:
        """Whether an artifact is made here. Raises ArtifactError as `locate` does."""
        return str(Cell(form, quantization=quantization)) not in self.located.found

    def known(self, form: Format, quantization: str | None = None) -> Artifact | None:
        """Return an artifact that has been asked for before, else None."""
        return self._artifacts.get((form, quantization))

    @property
    def known_artifacts(self) -> tuple[Artifact, ...]:
        """All artifacts that have been asked for."""
        return tuple(self._artifacts.values())

    def settle(self) -> None:
        """Return when the digest of everything converted here is on record, or cannot be."""
        wait(self._recording)

    def of(self, cell: Cell) -> Artifact:
        """Return the artifact of a cell, as `artifact` does."""
        assert cell.format is not None
        return self.artifact(cell.format, cell.quantization)

    def artifact(self, form: Format, quantization: str | None = None) -> Artifact:
        """Return the artifact of a format, converting when need be; threads may ask at once.

        Args:
            form: of the artifact.
            quantization: dtype of its matrices: a file that states it, else converted from the
                reference. None for the file as it was found, or converted as the only one of the
                playbook's `quantizations` says, else in the dtypes of the source.

        Raises:
            ArtifactError: NOT_FOUND, MALFORMED, UNSUPPORTED or ENVIRONMENT, see `locate` and
                `convert`.
        """
        key = (form, quantization)
        with self._lock:
            if key not in self._artifacts:
                self._artifacts[key] = self._obtain(form, quantization)
            return self._artifacts[key]

    def _obtain(self, form: Format, quantization: str | None) -> Artifact:
        found = self.located.found.get(str(Cell(form, quantization=quantization)))
        if found is not None:
            return make_artifact(
                form,
                found.path,
                found.source,
                self.digests,
                expected_sha256=found.expected_sha256,
            )
        if form is Format.SAFETENSORS:
            return self._converted(self.artifact(self.source_format), form, quantization)
        stated = None if several(self.model) else next(iter(self.model.quantizations), None)
        return self._converted(self.artifact(Format.SAFETENSORS), form, quantization or stated)

    def _converted(self, source: Artifact, form: Format, quantization: str | None) -> Artifact:
        """Return a conversion from the cache, or make it."""
        name = f"{form}{f'-{quantization.lower()}' if quantization else ''}-{RECIPE}"
        directory = self.cache_dir / "artifacts" / source.digest / name
        # Released by the thread that records. Waiting without an end, filelock would refuse a thread
        # that has acquired it before.
        file = directory.with_name(f"{name}.lock")
        lock = FileLock(file, timeout=_YEAR_SECONDS, thread_local=False)
        try:
            directory.parent.mkdir(parents=True, exist_ok=True)
            with ExitStack() as held:
                held.enter_context(lock)
                cached = self._cached(source, form, directory)
                if cached is not None:
                    return cached
                made = convert(source, form, directory, quantization, self.digests)
                record = partial(self._record, made, held.pop_all())
                self._recording.append(in_background("record", record, daemon=False))
                return made
        except OSError as error:
            raise environment(directory, error) from error

    def _record(self, made: Artifact, held: ExitStack) -> None:
        """Let others use a conversion; without its digest on record they make it again."""
        with held, suppress(ArtifactError):
            record_digest(made, self.digests)

    def _cached(self, source: Artifact, form: Format, directory: Path) -> Artifact | None:
        """Return the conversion in a directory if it still is what its record says."""
        try:
            record = json.loads((directory / RECORD_FILE).read_text("utf-8"))
            made = converted_artifact(source, form, directory, self.digests)
            return made if record["target"]["digest"] == made.digest else None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        except ArtifactError as error:
            if error.fault is ArtifactFault.NOT_FOUND:
                return None
            raise
