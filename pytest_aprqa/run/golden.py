"""The golden corpus: what a reference computes for known texts, kept to hold other files against.

A corpus is made once, where the reference fits, and checked anywhere: only the model under test is
loaded then.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from pytest_aprqa.artifact.model import Artifact
from pytest_aprqa.engine.open import open_engine
from pytest_aprqa.engine.protocol import Engine
from pytest_aprqa.judge.budget import budget_for
from pytest_aprqa.judge.fidelity import judge_fidelity
from pytest_aprqa.judge.judgement import Judgement, falsified
from pytest_aprqa.judge.kl import information
from pytest_aprqa.observation import TokenScores
from pytest_aprqa.playbook.prompts import G4_PROMPTS
from pytest_aprqa.run.fidelity import TOP, opening_text
from pytest_aprqa.verdict.record import RecordError
from pytest_aprqa.words import Attribution, Backend

SCHEMA_VERSION = "1"
MOST_TOKENS = 192
"""Of each text; further ones add time and little evidence."""


class GoldenText(BaseModel):
    """One text as the reference scored it.

    Attributes:
        text: what was encoded, without adding tokens.
        token_ids: length n.
        logprobs, top_ids, top_logprobs: as in TokenScores, length n-1; natural logarithms rounded
            to five decimals, which is far below the noise of any engine.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    top_ids: tuple[tuple[int, ...], ...]
    top_logprobs: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, text: str, scores: TokenScores) -> Self:
        """Return what is kept of the scores of a text."""
        return cls(
            text=text,
            token_ids=scores.token_ids,
            logprobs=tuple(round(value, 5) for value in scores.logprobs),
            top_ids=scores.top_ids,
            top_logprobs=tuple(tuple(round(v, 5) for v in row) for row in scores.top_logprobs),
        )

    @property
    def scores(self) -> TokenScores:
        return TokenScores(self.token_ids, self.logprobs, self.top_ids, self.top_logprobs)


class Corpus(BaseModel):
    """The golden texts of one model.

    Attributes:
        family: name of the corpus and of its file.
        model_id: Hugging Face id, or "".
        digest: identity of the reference's files.
        engine, dtype: what the reference was run with.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: str = SCHEMA_VERSION
    family: str
    model_id: str = ""
    digest: str
    engine: str
    dtype: str
    made: str
    texts: tuple[GoldenText, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """How engines are run for a corpus: seconds they may take, and their threads."""

    timeout: float
    threads: int | None = None


def make_corpus(family: str, model_id: str, reference: Artifact, run: Run) -> Corpus:
    """Score the corpus's texts with a reference. Raises EngineError."""
    texts = (opening_text(), *G4_PROMPTS)
    with _engine(reference, run) as engine:
        loaded = engine.load(run.timeout)
        most = min(MOST_TOKENS, loaded.context_length)
        tokens = [ids[:most] for ids in engine.tokenize(texts, special=False, timeout=run.timeout)]
        kept = [(text, ids) for text, ids in zip(texts, tokens, strict=True) if len(ids) > 1]
        scores = engine.score([ids for _, ids in kept], TOP, run.timeout)
    return Corpus(
        family=family,
        model_id=model_id,
        digest=reference.digest,
        engine=loaded.engine,
        dtype=loaded.dtype,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        texts=tuple(
            GoldenText.of(text, score) for (text, _), score in zip(kept, scores, strict=True)
        ),
    )


def check_corpus(corpus: Corpus, artifact: Artifact, run: Run) -> Judgement:
    """Hold a model against a corpus: the same tokens, and the same probabilities within budget.

    Raises EngineError.
    """
    with _engine(artifact, run) as engine:
        loaded = engine.load(run.timeout)
        texts = [golden.text for golden in corpus.texts]
        tokens = engine.tokenize(texts, special=False, timeout=run.timeout)
        for golden, ids in zip(corpus.texts, tokens, strict=True):
            wanted = golden.token_ids
            if tuple(ids[: len(wanted)]) != wanted:
                return _other_tokens(golden.text, len(corpus.texts))
        theirs = engine.score([list(golden.token_ids) for golden in corpus.texts], TOP, run.timeout)
    ours = [golden.scores for golden in corpus.texts]
    told = [float(information(scores).mean()) for scores in ours]
    budget = budget_for(corpus.dtype, loaded.dtype, information=sum(told) / len(told))
    return judge_fidelity(ours, theirs, budget)


def _other_tokens(text: str, count: int) -> Judgement:
    return falsified(
        f"{text[:40]!r} becomes other tokens than the corpus holds.",
        Attribution.CONVERSION,
        {"texts": count},
        expected="the tokens of the corpus",
    )


@contextmanager
def _engine(artifact: Artifact, run: Run) -> Iterator[Engine]:
    with tempfile.TemporaryDirectory(prefix="aprqa-") as logs:
        engine = open_engine(artifact, Backend.CPU, log_dir=Path(logs), threads=run.threads)
        try:
            yield engine
        finally:
            engine.close()


def corpus_path(directory: Path, family: str) -> Path:
    """Return where the corpus of a family lies."""
    return directory / f"{family}.golden.json"


def read_corpus(path: Path) -> Corpus:
    """Read a corpus. Raises RecordError when there is none, or it is not readable as one."""
    try:
        return Corpus.model_validate(json.loads(path.read_bytes()))
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise RecordError(f"{path}, field {field}: {first['msg']}") from None
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path} is not JSON: {error}") from None


def corpora(directory: Path) -> list[Path]:
    """Return the corpora in a directory, in order."""
    return sorted(directory.glob("*.golden.json"))
