"""The garbage detector: what it must pass, what it must find, and how often it errs."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.garbage_rates import (
    alarms,
    broken_output,
    code,
    is_found,
    report_on,
    sound_output,
    sound_texts,
)
from pytest_aprqa.judge.garbage import ERROR_RATES, GarbageKind, inspect_text
from pytest_aprqa.judge.garbage_leak import find_leak
from pytest_aprqa.judge.garbage_salad import STRETCH
from pytest_aprqa.observation import FinishReason

SOUND = {
    "figure": "4",
    "negative figure": "-4",
    "word": "Paris.",
    "yes": "Yes",
    "begins with inf": "information",
    "six words": "The capital of France is Paris.",
    "seven words": "one two three four five six seven",
    "laugh": "ha ha ha",
    "agreement": "Yes, yes, yes, yes, yes!",
    "longer laugh": "Ha ha ha ha ha ha!",
    "laugh in one word": "Hahahahahahahahahahaha, that is very funny!",
    "maltese": "Ġwann u Ġorġ jgħixu f'Malta, u Ġużeppi f'Għawdex. ĠORĠ U ĠWANN. Ċensu u Ċikku.",
    "named markers": "BERT uses [MASK] and [CLS] tokens.",
    "equal records": "[" + ", ".join(['{"name": "x", "value": 0}'] * 12) + "]",
    "equal records cut off": "[" + '{"name": "x", "value": 0},\n' * 12 + '{"na',
    "scale": "C D E F G A B C " * 4 + "C B A G F E D C C E G C C E G C D F A D D F A D E G B E",
    "roles": "The roles are:\nadmin\nuser\nguest",
    "role in a list": "system\nuser\nassistant",
    "laugh in a sentence": "Hahaha! Ha ha ha, that is funny.",
    "no": "No, no, no, no!",
    "song": "La la la, la la, sing along with me tonight.",
    "digits of pi": "3.14159265358979323846264338327950288419716939937510582097494459230781",
    "large figure": "10000000000000000000000",
    "a third": "0.3333333333333333",
    "binary": "01101000 01100101 01101100 01101100 01101111",
    "hex dump": "00000000  48 65 6c 6c 6f 2c 20 77  6f 72 6c 64 21 0a 00 ff  |Hello, world!...|",
    "digest": "deadbeef 00ff12ab cafebabe 8badf00d 0123456789abcdef fedcba9876543210",
    "morse": ".... . .-.. .-.. --- / .-- --- .-. .-.. -..",
    "base pairs": "ATGCGTACGTTAGCATCGATCGGCTA",
    "table": "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |",
    "rules": "# Title\n\n------\n\nSome text under the rule.\n\n------\n\nMore of it.",
    "json": '{"name": "Ada", "age": 36, "tags": ["x", "y"], "nested": {"a": [1, 2, {"b": null}]}}',
    "list": "- apples\n- pears\n- plums\n- cherries",
    "numbered list": "1. First\n2. Second\n3. Third\n4. Fourth",
    "words after commas": "apple, banana, cherry, orange, lemon, grape, melon, peach",
    "months": "January, February, March, April, May, June, July, August",
    "tickers": "AAPL, MSFT, GOOG, AMZN, TSLA, NVDA, META",
    "poem": "Roses are red,\nViolets are blue,\nSugar is sweet,\nAnd so are you.",
    "refrain": "Row, row, row your boat,\nGently down the stream.\n"
    "Merrily, merrily, merrily, merrily,\nLife is but a dream.",
    "clause of a greedy small model": "I was there to help them. " * 4 + "I was there to",
    "haiku": "Autumn moonlight—\na worm digs silently\ninto the chestnut.",
    "python": "def fibonacci(n):\n    if n < 2:\n        return n\n    return fibonacci(n - 1)",
    "rust": 'fn main() {\n    let v: Vec<i32> = (1..4).collect();\n    println!("{v:?}");\n}',
    "c": '#include <stdio.h>\nint main(void) {\n    for (int i = 0; i < 4; ++i) printf("%d\\n", i);\n}',
    "javascript": "const xs = [1, 2, 3].map((x) => x * 2);\nconsole.log(xs);",
    "sql": "SELECT name, COUNT(*) FROM users WHERE age > 30 GROUP BY name;",
    "html": "<html>\n<head><title>Hi</title></head>\n<body><p>Text</p></body>\n</html>",
    "shell": '#!/bin/bash\nfor f in *.txt; do\n  echo "$f"\ndone',
    "latex": "$$\\int_0^\\infty e^{-x^2} dx = \\frac{\\sqrt{\\pi}}{2}$$",
    "url": "https://example.com/path/to/page?id=42&lang=en#top",
    "error message": 'TypeError: unsupported operand type(s) for +: "int" and "str"',
    "completion": "2+2 is 4. That's correct.\n\nWhat is 3+3? 3+3 is 6. That's correct.\n\nWhat",
    "story": "Once upon a time, in a small village by the sea, there lived an old fisherman",
    "science": "because of Rayleigh scattering, in which shorter wavelengths scatter more",
    "long word": "Donaudampfschifffahrtsgesellschaftskapitän",
    "chinese": "法国的首都是巴黎。它是该国最大的城市，也是政治、经济和文化中心。",
    "chinese and code": "使用 Python 编程语言可以快速开发 Web 应用程序。",
    "japanese": "東京は日本の首都です。人口は約1400万人で、世界最大級の都市です。",
    "korean": "서울은 대한민국의 수도이며 가장 큰 도시입니다.",
    "arabic": "عاصمة فرنسا هي باريس، وهي أكبر مدينة في البلاد.",
    "hebrew": "בירת צרפת היא פריז, העיר הגדולה ביותר במדינה.",
    "persian": "پایتخت فرانسه پاریس است که بزرگترین شهر این کشور است.",
    "russian": "Столица Франции — Париж, крупнейший город страны.",
    "ukrainian": "Столиця Франції — Париж, найбільше місто країни.",
    "greek": "Η πρωτεύουσα της Γαλλίας είναι το Παρίσι.",
    "hindi": "फ्रांस की राजधानी पेरिस है, जो देश का सबसे बड़ा शहर है।",
    "bengali": "ফ্রান্সের রাজধানী প্যারিস, দেশের বৃহত্তম শহর।",
    "tamil": "பிரான்சின் தலைநகரம் பாரிஸ் ஆகும்.",
    "thai": "ปารีสเป็นเมืองหลวงของประเทศฝรั่งเศส",
    "amharic": "የፈረንሳይ ዋና ከተማ ፓሪስ ናት።",
    "one very long word": "Pneumonoultramicroscopicsilicovolcanoconiosis",
    "names": "On macOS and iOS, MySQL and PyPI speak HTTPServer; a+b is in C:\\Users\\admin.",
    "german": "Die Hauptstadt von Frankreich ist Paris, die größte Stadt des Landes.",
    "french": "La capitale de la France est Paris, la plus grande ville du pays.",
    "spanish": "La capital de Francia es París, la ciudad más grande del país.",
    "turkish": "Fransa'nın başkenti Paris'tir ve ülkenin en büyük şehridir.",
    "vietnamese": "Thủ đô của nước Pháp là Paris, thành phố lớn nhất đất nước.",
    "polish": "Stolicą Francji jest Paryż, największe miasto w kraju.",
    "finnish": "Ranskan pääkaupunki on Pariisi, maan suurin kaupunki.",
    "swahili": "Mji mkuu wa Ufaransa ni Paris, jiji kubwa zaidi nchini humo.",
    "greetings": "Hello, Bonjour, Hola, Привет, 你好, こんにちは, שלום, مرحبا",
    "emoji": "😀🎉👍",
    "emoji in text": "I love it! 😀🎉 See you soon 👋🏽 👩‍👩‍👧‍👦",
    "quoted marker": "The token `<|im_end|>` ends a turn, and '<s>' begins a text.",
    "table of dashes": "| model | state | a | b | c |\n|---|---|---|---|---|\n"
    + "".join(f"| number {n} | PENDING | - | - | - |\n" for n in range(12)),
    "padded table": "".join(
        f"| {name:<20} | {what:<120} |\n"
        for name, what in (
            ("chunked", "breaks a sequence into lists of a length"),
            ("windowed", "returns a sliding window over the items"),
            ("flatten", "takes away one level of nesting"),
            ("first", "returns the first item, or a default"),
            ("last", "returns the last item, or a default"),
            ("unique", "yields the items without repetition"),
        )
    ),
    "hard verbs": "He had had it that that was so, very very good, and and so on.",
    "strike": "This is <s>struck</s> out, and so is <s>this</s>.",
}

GARBAGE = {
    "nothing": ("", GarbageKind.EMPTY),
    "white space": (" \n\t ", GarbageKind.EMPTY),
    "joined pieces": ("olumbia+lsi nunca/localENTS", GarbageKind.SALAD),
    "pieces of code": (
        "ILLISECONDSgetMenuInflater thermometer })();\nCompra piger.IsNullOrEmpty injuries deem\\admin",
        GarbageKind.SALAD,
    ),
    "mixed scripts": (
        "elementssss関于//' اه an an居工程 sun揚 Society るaccom字 effectמסמ",
        GarbageKind.SALAD,
    ),
    "few signs": ("**,))****))**,)))))**)**", GarbageKind.REPETITIVE),
    "only signs": ("))))))>.>.])))))((((]]]]]{{{{,,,,)))))>>", GarbageKind.REPETITIVE),
    "part of a word": ("VILLEVILLEVILLEVILLE", GarbageKind.REPETITIVE),
    "short word": ("ak ak ak ak ak ak", GarbageKind.REPETITIVE),
    "endless article": ("the " * 24, GarbageKind.REPETITIVE),
    "sentence": ("I think that is so. " * 9, GarbageKind.REPETITIVE),
    "loop at the end": ("Paris is the capital" + " of the" * 20, GarbageKind.REPETITIVE),
    "line": ("print(x)\n" * 12, GarbageKind.REPETITIVE),
    "two words": ("gap meat " + "meat gap gap meat gap meat meat " * 4, GarbageKind.REPETITIVE),
    "sevens": ("7" * 60, GarbageKind.REPETITIVE),
    "exclamation": ("!" * 48, GarbageKind.REPETITIVE),
    "one letter in white space": ("H" + " " * 40, GarbageKind.REPETITIVE),
    "empty lines": ("It is not.\n\nA." + "\n" * 20, GarbageKind.REPETITIVE),
    "bell": ("Hello \x07 there", GarbageKind.DAMAGED),
    "null": ("4\x00", GarbageKind.DAMAGED),
    "delete": ("\x7f\x7f!", GarbageKind.DAMAGED),
    "replacement": ("The answer is \ufffd\ufffd four.", GarbageKind.DAMAGED),
    "non-character": ("Hello \uffff", GarbageKind.DAMAGED),
    "byte tokens": ("<0x0A>Yes, it is.", GarbageKind.DAMAGED),
    "token texts": ("TheĠcapitalĠofĠFranceĠisĠParis", GarbageKind.DAMAGED),
    "token texts of bytes": ("Ø¬ÙĦì²ľ_Integer[\\admin", GarbageKind.DAMAGED),
    "stutter": (
        "It do do is is is is is S.am. is that that that that night by then it said.",
        GarbageKind.REPETITIVE,
    ),
    "sentencepiece": ("▁The▁capital▁of▁France▁is▁Paris", GarbageKind.DAMAGED),
    "next turns": ("4\nuser\nWhat is 3+3?\nassistant\n6", GarbageKind.LEAKED),
    "cls": ("[CLS] Paris is the capital. [SEP]", GarbageKind.LEAKED),
    "only a sentence": ("The capital of France is Paris. " * 5, GarbageKind.REPETITIVE),
    "endless laugh": ("ha ha " * 20, GarbageKind.REPETITIVE),
    "latin-1": ("L'Ã©toile est prÃªte", GarbageKind.DAMAGED),
    "windows-1252": ("Itâ€™s a â€œquoteâ€\x9d", GarbageKind.DAMAGED),
    "end of turn": ("<|im_end|><|im_end|>", GarbageKind.LEAKED),
    "next turn": ("It is Paris.<|im_end|>\n<|im_start|>user", GarbageKind.LEAKED),
    "instruction": ("4. [/INST]</speak>", GarbageKind.LEAKED),
    "end of text": ("</s>", GarbageKind.LEAKED),
    "gemma": ("Paris<end_of_turn>", GarbageKind.LEAKED),
    "deepseek": ("Paris<｜end▁of▁sentence｜>", GarbageKind.LEAKED),
    "unknown": ("Paris <unk>", GarbageKind.LEAKED),
}


@pytest.mark.parametrize("text", SOUND.values(), ids=SOUND.keys())
@pytest.mark.parametrize("finish", [FinishReason.STOP, FinishReason.LENGTH])
def test_sound_text_of_every_kind_passes(text: str, finish: FinishReason) -> None:
    assert inspect_text(text, finish=finish).reasons == ()


@pytest.mark.parametrize(("text", "kind"), GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_of_every_kind_is_found(text: str, kind: GarbageKind) -> None:
    report = inspect_text(text, finish=FinishReason.STOP)
    assert kind in report.kinds
    assert len(report.reasons) == len(report.kinds)


def test_a_character_cut_off_at_the_token_limit_is_no_damage() -> None:
    assert not inspect_text("A family: \ufffd", finish=FinishReason.LENGTH).kinds
    assert inspect_text("A family: \ufffd", finish=FinishReason.STOP).kinds


def test_what_the_prompt_holds_may_be_repeated() -> None:
    assert not inspect_text("You wrote <|im_end|>.", prompt="Repeat: <|im_end|>").kinds
    assert not inspect_text("\x07 rings.", prompt="Ring \x07").kinds
    assert inspect_text("\x07\x01 rings.", prompt="Ring \x07").kinds
    chant = "go go go go go go go go"
    assert inspect_text(chant).kinds
    assert not inspect_text(chant, prompt=f"Repeat this: {chant}").kinds


def test_the_tokenizers_own_special_tokens_are_known() -> None:
    assert not inspect_text("Paris [[STOP]]").kinds
    assert inspect_text("Paris [[STOP]]", special_tokens=["[[STOP]]"]).kinds == (
        GarbageKind.LEAKED,
    )


def test_the_references_log_probabilities_decide_about_salad() -> None:
    words = "mutual Printer Hemisphere badge inventory"
    assert not inspect_text(words).kinds
    assert inspect_text(words, logprobs=[-9.5] * 8).kinds == (GarbageKind.SALAD,)
    salad, _ = GARBAGE["joined pieces"]
    assert not inspect_text(salad, logprobs=[-0.5] * 8).kinds
    assert inspect_text(salad, logprobs=[-5.0] * 8).kinds


def test_a_stretch_that_the_reference_finds_unlikely_is_enough() -> None:
    loop = [-0.5] * 40
    assert inspect_text("a broken start", logprobs=[-5.0] * STRETCH + loop).is_garbage
    assert inspect_text("a broken end", logprobs=loop + [-5.0] * STRETCH).is_garbage
    assert not inspect_text("a sound text", logprobs=[-5.0] * (STRETCH // 2) + loop).is_garbage


@pytest.mark.parametrize(("tokens", "limit"), [(1, -18.0), (2, -9.0), (3, -6.0), (4, -4.5)])
def test_few_tokens_must_be_as_unlikely_together_as_four(tokens: int, limit: float) -> None:
    assert inspect_text("f.", logprobs=[limit - 0.1] * tokens).is_garbage
    assert not inspect_text("f.", logprobs=[limit + 0.1] * tokens).is_garbage


@given(st.text(max_size=400))
def test_any_text_can_be_inspected(text: str) -> None:
    report = inspect_text(text)
    assert report.is_garbage == bool(report.reasons)


# --- error rates

FALSE_ALARMS = 0.005
SALADS_OF_A_KIND = 400
MISSES = 0.05
MISSES_BY_TEXT, MISSES_WITH_REFERENCE = 0.3, 0.05
SCATTER = 12
"""Texts by which a count may differ elsewhere: other packages and another standard library."""


def salads(chance: random.Random) -> Iterator[tuple[str, str]]:
    """Yield garbage of 24 to 64 pieces by how it was made, from a vocabulary the table never saw."""
    pieces = json.loads(Path(__file__).with_name("vocabulary_pieces.json").read_text("utf-8"))
    text = " ".join(islice(code(), 40))
    for _ in range(SALADS_OF_A_KIND):
        size = chance.randrange(24, 65)
        yield "any piece", "".join(chance.choices(pieces["any"], k=size))
        yield "frequent pieces", "".join(chance.choices(pieces["frequent"], k=size))
        few = chance.sample(pieces["any"], chance.randrange(6, 40))
        ranks = [1 / rank for rank in range(1, len(few) + 1)]
        yield "few pieces", "".join(chance.choices(few, ranks, k=size))
        unit = "".join(chance.choices(pieces["frequent"], k=chance.randrange(1, 5)))
        yield "loop", "The answer is" + unit * (size // 2)
        start = chance.randrange(len(text) - 400)
        data = bytearray(text[start : start + chance.randrange(200, 400)].encode())
        chance.shuffle(data)
        yield "shuffled bytes", data.decode(errors="replace")


def test_false_alarms_on_sound_text_are_one_in_two_hundred_at_most() -> None:
    sound = sound_texts()
    found = {kind: alarms(texts) for kind, texts in sound.items()}
    shown = {kind: [text[:80] for text in texts] for kind, texts in found.items() if texts}
    total, wrong = sum(map(len, sound.values())), sum(map(len, found.values()))
    assert total >= 4_000
    assert wrong / total <= FALSE_ALARMS, shown
    assert abs(total - ERROR_RATES.sound) <= ERROR_RATES.sound / 10, "publish the new count"
    assert abs(wrong - ERROR_RATES.false_alarms) <= SCATTER, f"{shown}; publish the new count"


def test_what_broken_models_say_is_found_as_often_as_published() -> None:
    entries = broken_output()
    missed = sum(not is_found(entry, reference=False) for entry in entries)
    assert (len(entries), missed) == (ERROR_RATES.garbage, ERROR_RATES.missed)
    assert missed / len(entries) <= MISSES_BY_TEXT
    with_reference = sum(not is_found(entry, reference=True) for entry in entries)
    assert with_reference / len(entries) <= MISSES_WITH_REFERENCE


def test_the_reference_accuses_no_sound_conversion_and_only_loops_are_found_in_it() -> None:
    entries = sound_output()
    assert len(entries) >= 300
    found = [entry for entry in entries if is_found(entry, reference=True)]
    kinds = {report_on(entry, reference=True).kinds for entry in found}
    assert kinds == {(GarbageKind.REPETITIVE,)}, found


def test_the_page_says_what_counts() -> None:
    text = (Path(__file__).parents[2] / "docs/garbage.md").read_text("utf-8")
    assert f"| **all** | {ERROR_RATES.sound} | {ERROR_RATES.false_alarms} |" in text
    assert f"| **all** | {ERROR_RATES.garbage} | {ERROR_RATES.missed} |" in text


def test_misses_on_strung_pieces_loops_and_shuffles_are_one_in_twenty_at_most() -> None:
    made: dict[str, list[str]] = {}
    for kind, text in salads(random.Random(20260202)):
        made.setdefault(kind, []).append(text)
    missed = {
        kind: [text for text in texts if not inspect_text(text).is_garbage]
        for kind, texts in made.items()
    }
    counts = {kind: f"{len(texts)} of {len(made[kind])}" for kind, texts in missed.items()}
    total, wrong = sum(map(len, made.values())), sum(map(len, missed.values()))
    assert wrong / total <= MISSES, counts
    assert all(len(texts) <= 0.15 * len(made[kind]) for kind, texts in missed.items()), counts


def test_a_conversation_without_end_is_searched_for_turns_in_time_with_its_length():
    text = "user\n" + "a word\n \n\n" * 20_000 + "assistant"
    assert find_leak(text) is None
    assert "'user', then 'assistant'" in find_leak("4\nuser\nAnd 3+3?\nassistant\n6")
