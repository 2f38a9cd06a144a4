"""The playbook language: one model of every field, and no field besides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from pytest_aprqa.playbook.differential import DifferentialTests
from pytest_aprqa.playbook.endpoint import OllamaParity
from pytest_aprqa.playbook.errors import FieldPath, Notice, dotted
from pytest_aprqa.playbook.falsification import FalsificationGate
from pytest_aprqa.playbook.fields import Distinct, Flag, Inert, Name, Policy, Section
from pytest_aprqa.playbook.inert import (
    KernelProfile,
    StateMachine,
    TracePayload,
)
from pytest_aprqa.playbook.matrix import Prompt, Scenario, TestMatrix
from pytest_aprqa.playbook.model_spec import ModelSpec
from pytest_aprqa.playbook.oracles import Oracle
from pytest_aprqa.playbook.profile import ProfileCi
from pytest_aprqa.playbook.property_tests import PropertyTests
from pytest_aprqa.playbook.quantizations import left_out
from pytest_aprqa.playbook.tier_names import TIER_NAMES
from pytest_aprqa.words import INVARIANTS, FailurePolicy, Invariant


def _must_stand(value: bool) -> bool:
    if not value:
        raise ValueError(
            "a gateway cannot be switched off, no score counts without it; "
            "take the line away, or leave its checks out of a run with pytest's -k"
        )
    return value


Gate = Annotated[Flag, AfterValidator(_must_stand)]


class Gates(Section):
    """The gateways. All of them always stand; the section says so for readers."""

    g0_integrity: Gate = Field(default=True, description="The files are sound")
    g1_model_loads: Gate = Field(default=True, description="The engine loads them")
    g2_basic_inference: Gate = Field(default=True, description="A generation yields tokens")
    g3_no_crashes: Gate = Field(default=True, description="Nothing crashes twice")
    g4_output_quality: Gate = Field(default=True, description="Answers are not garbage")


class ContractTests(Section):
    """Which invariants of conversion are tested."""

    invariants: Annotated[tuple[Invariant, ...], Distinct] = Field(
        default=INVARIANTS,
        description="I-1 round trip, I-2 names, I-3 dtypes, I-4 values, I-5 tokens",
    )


def _known_tier(tier: str) -> str:
    if tier not in TIER_NAMES:
        raise ValueError(f"found {tier!r}; allowed: {', '.join(TIER_NAMES)}")
    return tier


class Metadata(Section):
    """Whatever else the author wants to keep with the playbook."""

    model_config = ConfigDict(extra="allow")

    tier: Annotated[str, AfterValidator(_known_tier)] | None = Field(
        default=None, description="Tier of the playbook, when the file name does not say it"
    )


class NamedPrompt(NamedTuple):
    """A question of the playbook.

    Attributes:
        field: where it stands.
        name: its own, or a number.
        entry: the question.
    """

    field: FieldPath
    name: str
    entry: Prompt


class Playbook(Section):
    """What to test, and what must come out."""

    extends: Annotated[str, StringConstraints(min_length=1)] | None = Field(
        default=None, description="Template whose fields stand wherever this file has none"
    )
    name: Name = Field(description="Name of the playbook")
    version: str = Field(default="1.0.0", description="Version of the playbook, for its readers")
    description: str = Field(default="", max_length=2000, description="For its readers")
    model: ModelSpec = Field(description="The model under test")
    test_matrix: TestMatrix = Field(
        default_factory=TestMatrix, description="Cells, and how each is asked"
    )
    scenarios: tuple[Scenario, ...] = Field(
        default=(), description="Named questions, asked before test_matrix.prompts"
    )
    gates: Gates = Field(default_factory=Gates, description="Gateways G0 to G4")
    oracles: tuple[Oracle, ...] = Field(
        default=(), description="Settings of the oracles that judge prompts without their own"
    )
    failure_policy: Policy = Field(
        default=FailurePolicy.STOP_ON_P0, description="What a failure does to the checks after it"
    )
    profile_ci: ProfileCi = Field(
        default_factory=ProfileCi, description="Measurements and their bounds"
    )
    contract_tests: ContractTests = Field(
        default_factory=ContractTests, description="Invariants of conversion"
    )
    metadata: Metadata = Field(default_factory=Metadata, description="Free, but for `tier`")
    differential_tests: DifferentialTests | None = Field(
        default=None, description="Comparisons of formats"
    )
    property_tests: PropertyTests = Field(
        default=(), description="Families of generated questions, none of which may fail"
    )
    falsification_gates: tuple[FalsificationGate, ...] = Field(
        default=(), description="Conditions on what the run finds, judged when all else is done"
    )
    state_machine: Annotated[
        StateMachine | None, Inert("states are not modelled; a run always loads, asks and unloads")
    ] = Field(default=None, description="Life cycle")
    trace_payload: Annotated[
        TracePayload | None,
        Inert("no layer is traced in a sound run; fail-fast writes per-layer statistics"),
    ] = Field(default=None, description="Traced forward pass")
    ollama_parity: OllamaParity | None = Field(
        default=None,
        description="Comparison with a server somebody else runs: Ollama, or any other that speaks "
        "the OpenAI protocol",
    )
    kernel_profile: Annotated[
        KernelProfile | None, Inert("kernels are not observed; prompts are what test_matrix says")
    ] = Field(default=None, description="Kernels of the architecture")
    mvp_matrix: Annotated[
        list[Any], Inert("cells come from test_matrix; give prompts in test_matrix.prompts")
    ] = Field(default_factory=list, description="Cells one by one")
    verification_tests: Annotated[
        list[Any], Inert("steps in prose are not run; write scenarios with oracles")
    ] = Field(default_factory=list, description="Steps in prose")

    def named_prompts(self) -> tuple[NamedPrompt, ...]:
        """Return the playbook's own questions with their names, scenarios first."""
        placed: list[tuple[FieldPath, Prompt]] = [
            *((("scenarios", i), entry) for i, entry in enumerate(self.scenarios)),
            *(
                (("test_matrix", "prompts", i), entry)
                for i, entry in enumerate(self.test_matrix.prompts)
            ),
        ]
        return tuple(
            NamedPrompt(field, entry.name or f"prompt-{place:03d}", entry)
            for place, (field, entry) in enumerate(placed, start=1)
        )

    @property
    def invariants(self) -> tuple[str, ...]:
        """The invariants to test: those named, and those that differential tests ask for."""
        asked = self.differential_tests.invariants if self.differential_tests else ()
        return tuple(dict.fromkeys((*self.contract_tests.invariants, *asked)))

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What is set but not acted on, without lines."""
        found = [*_inert_fields(self, ()), *left_out(self.model)]
        return tuple(Notice(dotted(field), reason) for field, reason in found)


def _inert_fields(section: BaseModel, at: FieldPath) -> Iterator[tuple[FieldPath, str]]:
    for name in type(section).model_fields:
        if name not in section.model_fields_set:
            continue
        value = getattr(section, name)
        if not value or not getattr(value, "enabled", True):
            continue
        field = (*at, name)
        marks = [m for m in type(section).model_fields[name].metadata if isinstance(m, Inert)]
        yield from ((field, mark.reason) for mark in marks)
        if isinstance(value, BaseModel) and not marks:
            yield from _inert_fields(value, field)
