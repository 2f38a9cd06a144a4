"""Faults of the chat template: the model hears the question in another way than it learnt."""

from __future__ import annotations

import re
from random import Random

from pytest_aprqa.falsify.fault import (
    Family,
    Faults,
    NotApplicableError,
    Sample,
    converted,
    everywhere,
)
from pytest_aprqa.falsify.gate import Gate
from pytest_aprqa.falsify.statements import template

fault = Faults(Family.TEMPLATE)

_LOUD = converted(Gate.G0, reference=Gate.QUAL)
_QUIET = converted(Gate.G0, reference=Gate.DIGEST)

_USER = "message['role']"
_GENERATION = re.compile(r"\{%-? *if add_generation_prompt *-?%\}.*?\{%-? *endif *-?%\}", re.DOTALL)
_START = "{% for message in messages %}"


@fault(
    "generation-prompt-missing",
    "the assistant's turn is not begun",
    _QUIET,
    blind="a small model begins its turn by itself; some families know no generation prompt",
)
def generation_prompt_missing(sample: Sample, random: Random) -> None:
    _substitute(sample, _GENERATION, "")


@fault(
    "roles-wrong",
    "the user speaks as the assistant",
    _QUIET,
    blind="the question is still heard; which role speaks it stands nowhere else",
)
def roles_wrong(sample: Sample, random: Random) -> None:
    _replace(sample, _USER, "('assistant' if message['role'] == 'user' else 'user')")


@fault(
    "extra-space",
    "a space stands before every message",
    _QUIET,
    blind="a model bears a space more or less; which one it was trained with stands nowhere else",
)
def extra_space(sample: Sample, random: Random) -> None:
    _replace(sample, "message['content']", "' ' + message['content']")


@fault(
    "newline-lost",
    "the line break after the role is missing",
    _QUIET,
    blind="a model may bear it; how it was trained stands nowhere else",
)
def newline_lost(sample: Sample, random: Random) -> None:
    _replace(sample, "'\\n' + message['content']", "message['content']")


@fault(
    "system-dropped",
    "system messages are left out",
    _QUIET,
    blind="some templates have no place for a system message, and no small tier sends one",
)
def system_dropped(sample: Sample, random: Random) -> None:
    _replace(sample, "in messages %}", "in messages if message['role'] != 'system' %}")


@fault(
    "history-dropped",
    "only the last message is rendered",
    _QUIET,
    blind="no small tier asks with a history",
)
def history_dropped(sample: Sample, random: Random) -> None:
    _replace(sample, "in messages %}", "in messages[-1:] %}")


@fault(
    "turn-not-ended",
    "turns have no end",
    _QUIET,
    blind="the question is still heard; how turns end stands nowhere else",
)
def turn_not_ended(sample: Sample, random: Random) -> None:
    _replace(sample, "'<|im_end|>'", "''")


@fault("of-another-family", "the template is that of another family", _LOUD)
def of_another_family(sample: Sample, random: Random) -> None:
    with template(sample) as held:
        held[0] = (
            "{{ bos_token }}{% for message in messages %}"
            "{{ '[INST] ' + message['content'] + ' [/INST]' }}{% endfor %}"
        )


@fault(
    "escaped",
    "messages are escaped as HTML",
    _QUIET,
    blind="only text with quotes, ampersands or brackets changes",
)
def escaped(sample: Sample, random: Random) -> None:
    _replace(sample, "message['content']", "(message['content'] | e)")


@fault("user-dropped", "the user's message is left out", everywhere(Gate.G0))
def user_dropped(sample: Sample, random: Random) -> None:
    _replace(sample, "message['content']", "''")


@fault("syntax", "the template is no Jinja", everywhere(Gate.G0))
def syntax(sample: Sample, random: Random) -> None:
    _replace(sample, "{% endfor %}", "")


@fault("refuses", "the template refuses a plain question", everywhere(Gate.G0))
def refuses(sample: Sample, random: Random) -> None:
    with template(sample) as held:
        held[0] = "{{ raise_exception('system message expected') }}"


@fault(
    "lost",
    "the template is gone",
    converted(Gate.G0, reference=Gate.QUAL),
    withholds=True,
    blind="a model without a template is a base model; the chat cells are skipped and say so",
)
def lost(sample: Sample, random: Random) -> None:
    with template(sample) as held:
        held[0] = None


def _replace(sample: Sample, old: str, new: str) -> None:
    _substitute(sample, re.compile(re.escape(old)), new)


def _substitute(sample: Sample, pattern: re.Pattern[str], new: str) -> None:
    with template(sample) as held:
        assert held[0] is not None
        changed = pattern.sub(lambda _: new, held[0])
        if changed == held[0]:
            raise NotApplicableError("the template is of another form")
        held[0] = changed
