"""Finding the value an answer states as its answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum, auto
from fractions import Fraction

from pytest_aprqa.judge.oracles.arithmetic import cues
from pytest_aprqa.judge.oracles.arithmetic.expression import Expression
from pytest_aprqa.judge.oracles.arithmetic.lexer import Kind, Token
from pytest_aprqa.judge.oracles.arithmetic.reader import FARTHEST, Reader, Stated

_Found = tuple[Stated | None, int]


class _Rank(IntEnum):
    """How much a statement says about the question, the most first."""

    OWN_SUM = auto()  # "2 + 2 = 4"
    BOXED = auto()  # "\boxed{4}"
    CONCLUSION = auto()  # "the answer is 4"
    OPENING = auto()  # "4", "It is 4" at the beginning
    STEP = auto()  # "so we get 4": the last step of working is its end


@dataclass(frozen=True, slots=True)
class _Statement:
    rank: _Rank
    position: int
    stated: Stated


def find_stated(tokens: Sequence[Token], question: Expression) -> Stated | None:
    """Return the value the answer states for the question; None when it states none.

    In this order: what the question's own sum is said to make ("2 + 2 = 4"), a boxed value, a
    value named the answer or result, a value the answer opens with, and the last step of its
    working. Of several of one kind the last counts. What stands before a correction ("wait,",
    "no,") and what follows a new question do not count, nor do values the answer denies ("not 5",
    "5 is wrong"). Other sums are steps of the working: what they make is no answer, except at the
    end of it. A number that nothing names the answer is none: "It took 4 ms".
    """
    reader = Reader(tokens, question)
    statements = sorted(_statements(reader), key=lambda one: one.position)
    statements = _uncorrected(reader, _before_next_question(reader, statements))
    if not statements:
        return _told(reader)
    best = min(one.rank for one in statements)
    *earlier, last = (one.stated for one in statements if one.rank is best)
    cut_off = bool(earlier) and reader.text(len(tokens) - 1) == last.text
    return earlier[-1] if cut_off and earlier[-1].text.startswith(last.text) else last


def _statements(reader: Reader) -> Iterator[_Statement]:
    yield from _of_sums(reader)
    yield from _announced(reader)
    yield from _bare(reader)


def _of_sums(reader: Reader) -> Iterator[_Statement]:
    """Yield what the question's own sum makes, and another of its value that works it out."""
    known: set[Fraction | None] = set(reader.question.operands)
    end = 0
    for position, expression, after in reader.sums():
        if position < end or not expression.operators:
            continue
        makes, end = reader.what_it_makes(after)
        if makes is None:
            continue
        if expression.same_sum_as(reader.question):
            yield _Statement(_Rank.OWN_SUM, position, makes)
        elif expression.value == reader.question.value and known & set(expression.operands):
            yield _Statement(_Rank.STEP, position, makes)
        known |= {makes.value} - {None}


def _announced(reader: Reader) -> Iterator[_Statement]:
    """Yield values that a word announces; "it is 4 cats" counts, "the answer is 4 cats" answers."""
    for position, token in enumerate(reader.tokens):
        rank, (stated, after) = _read_cue(reader, position, token.text)
        loose = rank > _Rank.CONCLUSION
        if stated and not (loose and (reader.text(after) == "?" or not reader.ends(after))):
            yield _Statement(rank, position, stated)


def _read_cue(reader: Reader, cue: int, text: str) -> tuple[_Rank, _Found]:
    if text == cues.BOX:
        return _Rank.BOXED, reader.value_after(cue + 1)
    if text in cues.ANSWER_NOUNS:
        return _Rank.CONCLUSION, _after_noun(reader, cue)
    if text in cues.SUM_NOUNS and reader.text(cue + 1) in cues.AFTER_SUM_NOUN:
        return _Rank.STEP, _after_noun(reader, cue)
    if text in cues.PRONOUNS:
        return _Rank.STEP if cue else _Rank.OPENING, _after_pronoun(reader, cue)
    names_variable = reader.kind(cue) is Kind.EQUALS and len(reader.text(cue - 1)) == 1
    if text in cues.GETS or (names_variable and reader.kind(cue - 1) is Kind.WORD):
        return _Rank.STEP, reader.value_after(cue + 1)
    return _Rank.STEP, (None, cue)


def _after_noun(reader: Reader, cue: int) -> _Found:
    """Read "the answer to 2 + 2 is 4" from its cue word; not what another sum is said to make."""
    position = cue + 1
    if (reader.text(cue - 2), reader.text(cue - 1)) == ("as", "a"):
        return None, position
    while position < min(cue + FARTHEST, len(reader.tokens)):
        if reader.kind(position) is Kind.END:
            break
        if reader.text(position) in cues.IS:
            return reader.value_after(position + 1)
        found = reader.read(position)
        if found and found[0].operators and found[0].value != reader.question.value:
            break
        position = found[1] if found else position + 1
    return None, position


def _after_pronoun(reader: Reader, cue: int) -> _Found:
    """Read "it would be 4"; a colon after "this" begins the working."""
    position, denied = cue + 1, False
    while reader.text(position) in cues.BESIDE_PRONOUN:
        denied = denied or reader.text(position) in cues.DENIALS
        position += 1
    if reader.text(position) not in cues.IS - {":"}:
        return None, position
    return reader.value_after(position + 1, denied=denied)


def _bare(reader: Reader) -> Iterator[_Statement]:
    """Yield values that stand alone: at the beginning, after a correction, on the last line."""
    starts = [0, *(position + 1 for position in _corrections(reader))]
    for position in starts:
        if stated := _opening(reader, position):
            yield _Statement(_Rank.OPENING, position, stated)
    breaks = [p for p, token in enumerate(reader.tokens) if token.text.startswith("\n")]
    last = max((p for p in breaks if p < len(reader.tokens) - 1), default=None)
    if last is not None and reader.text(last + 1) != cues.ITEM:
        stated, after = reader.value_after(last + 1)
        if stated and all(kind is Kind.END for kind in map(reader.kind, _rest(reader, after))):
            yield _Statement(_Rank.STEP, last, stated)


def _rest(reader: Reader, after: int) -> range:
    return range(after, len(reader.tokens))


def _opening(reader: Reader, start: int) -> Stated | None:
    """Return a value the answer opens with, if nothing is computed with it or counted by it."""
    position = start
    while reader.kind(position) in (Kind.EQUALS, Kind.END, Kind.MARK, Kind.COMMA) or (
        reader.text(position) in cues.POLITE
    ):
        position += 1
    found = reader.read(position) if reader.kind(position) else None
    if found is None or not reader.is_value(*found):
        return None
    expression, after = found
    if reader.is_denied(position, after) or not reader.ends(after):
        return None
    if expression.value in reader.question.operands and _goes_on(reader, after):
        return None
    if reader.text(position - 1) == cues.ITEM and _is_list(reader, after):
        return None
    return reader.hedged(position, expression, after)


def _goes_on(reader: Reader, after: int) -> bool:
    """Whether the working goes on with a number of the question: "15, take away 7"."""
    next_line = reader.kind(after) is Kind.END and reader.kind(after + 1) is Kind.OPERATOR
    return next_line or reader.kind(after) not in (Kind.END, None)


def _is_list(reader: Reader, after: int) -> bool:
    """Whether another item of the list is a value too."""
    items = [p for p in _rest(reader, after) if reader.text(p) == cues.ITEM]
    return any(reader.kind(p + 1) is Kind.NUMBER for p in items)


def _corrections(reader: Reader) -> list[int]:
    """Return where the answer takes something back: "Wait,", "no,", at the head of a clause."""
    heads = (Kind.END, Kind.COMMA, Kind.MARK, Kind.OPERATOR)
    return [
        position
        for position, token in enumerate(reader.tokens)
        if token.text in cues.CORRECTIONS
        and reader.kind(position - 1) in heads
        and reader.kind(position + 1) is not Kind.WORD
    ]


def _uncorrected(reader: Reader, statements: list[_Statement]) -> list[_Statement]:
    """Keep what is stated after the last correction that states something."""
    for position in reversed(_corrections(reader)):
        if later := [one for one in statements if one.position >= position]:
            return later
    return statements


def _before_next_question(reader: Reader, statements: list[_Statement]) -> list[_Statement]:
    """Keep what is stated before the model goes on to ask itself something else.

    A question inside the working ("what is 17*20?") is told by what follows it: a stronger
    statement than any before.
    """
    for position, is_turn in _next_questions(reader):
        before = [one for one in statements if one.position < position]
        after = [one for one in statements if one.position >= position]
        if not before or not after:
            continue
        strongest = min(one.rank for one in before)
        if is_turn or strongest <= max(_Rank.OPENING, min(one.rank for one in after)):
            return before
    return statements


def _next_questions(reader: Reader) -> Iterator[tuple[int, bool]]:
    """Yield where another question is asked, and whether it opens a turn of a dialogue."""
    asked = {
        position
        for position, expression, _ in reader.sums()
        if expression.operators
        and reader.text(position - 2) == "what"
        and not expression.same_sum_as(reader.question)
    }
    for position, token in enumerate(reader.tokens):
        if position in asked:
            yield position, False
        elif token.text in cues.SPEAKERS and reader.kind(position - 1) is Kind.END:
            alone = reader.kind(position + 1) is Kind.END
            if alone or reader.text(position + 1) == ":":
                yield position, True


def _told(reader: Reader) -> Stated | None:
    """Return the one new number of a tale of the sum: "take 7 from 15, you have 8 left".

    Only when all numbers of the sum are told before it; a number alone may count anything.
    """
    numbers = [one for one in reader.sums() if not one[1].operators]
    told: Counter[Fraction | None] = Counter(reader.question.operands)
    for index, (position, expression, after) in enumerate(numbers):
        if told:
            told -= Counter([expression.value])
            continue
        others = [
            value for _, one, _ in numbers[index:] if (value := one.value) != expression.value
        ]
        if others or reader.is_denied(position, after) or reader.text(after) in cues.UNITS:
            return None
        return reader.hedged(position, expression, after)
    return None
