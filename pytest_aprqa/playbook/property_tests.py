"""`property_tests`: families of generated questions, of which not one may be answered wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Discriminator, Field, Tag

from pytest_aprqa.playbook.errors import Notice
from pytest_aprqa.playbook.families import FAMILIES, KERNELS
from pytest_aprqa.playbook.fields import Flag, NoBoolean, Section

if TYPE_CHECKING:
    from pytest_aprqa.playbook.load import LoadedPlaybook

MAX_SHRINKS = 1000

_NAME = re.compile(r"\s*([A-Za-z][A-Za-z0-9_-]*)")
_SYNONYMS = {"code-prompt": "code", "instruction-prompt": "instruction", "edge-case": "edge"}


class PropertyTest(Section):
    """A family of generated questions."""

    name: str = Field(description="Name of the test")
    generator: str = Field(
        description="Name of a family; what stands behind it in brackets is for readers",
        examples=["arithmetic()", "code_prompt()", "multi_turn()", "kernel_rope()"],
    )
    oracle: str = Field(
        description="For readers: a family knows its answers, and who can judge them"
    )
    count: Annotated[int, Field(ge=1, le=10_000), NoBoolean] = Field(
        default=100, description="Questions asked in each format, unless a smaller one fails"
    )

    @property
    def family(self) -> str | None:
        """The family that is meant, or None when there is no such one."""
        match = _NAME.match(self.generator)
        name = match[1].lower().replace("_", "-") if match else ""
        name = _SYNONYMS.get(name, name)
        known = name in FAMILIES or name.removeprefix("kernel-") in KERNELS
        return name if known else None


class PropertyRun(Section):
    """The other shape of `property_tests`: every family, so many questions in all."""

    enabled: Flag = Field(default=False, description="Whether they are run")
    cases: Annotated[int, Field(ge=1, le=10_000), NoBoolean] = Field(
        default=100, description="Questions in each format, dealt to the families"
    )
    max_shrink_iters: Annotated[int, Field(ge=0), NoBoolean] = Field(
        default=MAX_SHRINKS, description="Most questions spent on finding a smaller failure"
    )

    def tests(self) -> tuple[PropertyTest, ...]:
        """Return one test for each family."""
        if not self.enabled:
            return ()
        each = max(1, self.cases // len(FAMILIES))
        return tuple(
            PropertyTest(name=name, generator=name, oracle="", count=each) for name in FAMILIES
        )


def _shape(value: object) -> str:
    return "list" if isinstance(value, list | tuple) else "mapping"


PropertyTests = Annotated[
    Annotated[tuple[PropertyTest, ...], Tag("list")] | Annotated[PropertyRun, Tag("mapping")],
    Discriminator(_shape),
]


def tests_of(section: tuple[PropertyTest, ...] | PropertyRun) -> tuple[PropertyTest, ...]:
    """Return the tests of either shape."""
    return section.tests() if isinstance(section, PropertyRun) else section


def max_shrinks(section: tuple[PropertyTest, ...] | PropertyRun) -> int:
    """Return how many questions may be spent on finding a smaller failure."""
    return section.max_shrink_iters if isinstance(section, PropertyRun) else MAX_SHRINKS


def without_family(loaded: LoadedPlaybook) -> Iterator[Notice]:
    """Say which tests of a playbook are of no family, so that they are not run."""
    for place, test in enumerate(tests_of(loaded.playbook.property_tests)):
        if test.family is None:
            field = f"property_tests[{place}].generator"
            reason = (
                f"there is no family {test.generator!r}, so it is not run; there are "
                f"{', '.join(FAMILIES)}, and {', '.join(f'kernel-{k}' for k in KERNELS)}"
            )
            yield Notice(field, reason, loaded.line_of(field))
