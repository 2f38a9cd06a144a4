"""What a model must deliver in speed and memory: `profile_ci`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pytest_aprqa.playbook.fields import Distinct, Flag, Inert, NoBoolean, NonNegative, Section
from pytest_aprqa.words import Backend, Format

GATE_LABELS = Inert("gate ids are fixed by this version; these labels appear nowhere")


class Assertions(Section):
    """Bounds on measurements; a measurement without one is taken all the same."""

    min_throughput: NonNegative | None = Field(
        default=None, description="Decoded tokens a second, on every backend"
    )
    min_throughput_cpu: NonNegative | None = Field(default=None, description="The same on the CPU")
    min_throughput_gpu: NonNegative | None = Field(default=None, description="The same on the GPU")
    max_p50_ms: NonNegative | None = Field(
        default=None,
        description="Milliseconds that half of the measured generations may take, each of 24 "
        "tokens; takes `measure` of 5 or more to be refuted",
    )
    max_p99_ms: NonNegative | None = Field(
        default=None, description="Milliseconds that 99 of 100 such generations may take"
    )
    max_ttft_ms: NonNegative | None = Field(
        default=None, description="Milliseconds to the first token"
    )
    max_load_ms: NonNegative | None = Field(default=None, description="Milliseconds to load")
    max_memory_mb: NonNegative | None = Field(
        default=None, description="MiB of resident memory of the engine"
    )

    def throughput_on(self, backend: Backend) -> float | None:
        """Return the least tokens a second on a backend: its own bound, else the common one."""
        own = self.min_throughput_gpu if backend is Backend.GPU else self.min_throughput_cpu
        return self.min_throughput if own is None else own


class ProfileCi(Section):
    """How performance is measured."""

    enabled: Flag = Field(default=True, description="Whether performance is measured at all")
    warmup: Annotated[int, Field(ge=0, le=1000), NoBoolean] = Field(
        default=1, description="Generations thrown away first"
    )
    measure: Annotated[int, Field(ge=1, le=1000), NoBoolean] = Field(
        default=3, description="Generations measured"
    )
    formats: Annotated[tuple[Format, ...], Distinct] = Field(
        default=tuple(Format), min_length=1, description="Formats that are measured"
    )
    backends: Annotated[tuple[Backend, ...], Distinct] = Field(
        default=tuple(Backend), min_length=1, description="Backends that are measured"
    )
    assertions: Assertions = Field(default_factory=Assertions, description="Bounds")
    gates: Annotated[tuple[str, ...], GATE_LABELS] = Field(default=(), description="Labels")
