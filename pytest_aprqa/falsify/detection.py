"""What came of the trials: the content of DETECTION.json."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from pytest_aprqa.falsify.fault import Family, Original
from pytest_aprqa.falsify.gate import Gate
from pytest_aprqa.words import Format, Outcome, Status, Tier

SCHEMA_VERSION = "1"


class Catch(BaseModel):
    """One check that failed on a spoilt artifact and holds on the sound one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gate: Gate
    check: str
    outcome: Outcome
    reason: str
    tier: Tier


class Trial(BaseModel):
    """One fault seeded into one format.

    Attributes:
        expected: the gate that must see it at the latest.
        expected_tier: the smallest tier that is expected to see it.
        withholds: the right answer to it is to certify nothing.
        original: what it was seeded into.
        catches: the checks that saw it, in the order they ran: the first one, or all. When only a
            digest did, or nothing, those of a larger tier follow.
        withheld: the first check that the sound original passes and that came to no verdict here; a
            certificate is withheld for it, but nothing is said against the artifact.
        not_applicable: why it could not be seeded into this model, or "".
        error: what the certifier itself did wrong, or "".
        blind: why nothing sees it, as the fault tells.
        status: of the certificate that the whole run would have given; None when it was stopped.
        checks: how many checks were carried out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fault: str
    family: Family
    description: str
    format: Format
    original: Original
    expected: Gate
    expected_tier: Tier
    withholds: bool = False
    catches: tuple[Catch, ...] = ()
    withheld: Catch | None = None
    not_applicable: str = ""
    error: str = ""
    blind: str = ""
    status: Status | None = None
    checks: int = 0
    seconds: float = 0.0

    @property
    def by(self) -> Catch | None:
        """The check that saw it first."""
        return self.catches[0] if self.catches else None

    @property
    def behaviour(self) -> Catch | None:
        """The first check, at the smallest tier, that saw it without the sound file's digest."""
        return next((catch for catch in self.catches if catch.gate is not Gate.DIGEST), None)

    @property
    def is_caught(self) -> bool:
        """Whether it was seen at or before its expected gate and tier, or a certificate withheld."""
        if self.error:
            return False
        withheld = self.withheld if self.withholds else None
        return any(self._in_time(catch) for catch in (*self.catches, withheld) if catch)

    def is_caught_by_behaviour(self, tier: Tier) -> bool:
        """Whether a check of a tier saw it without the sound file's digest."""
        seen = self.behaviour or self.withheld
        return self.is_caught and seen is not None and _is_by(seen.tier, tier)

    def _in_time(self, catch: Catch) -> bool:
        return catch.gate.is_by(self.expected) and _is_by(catch.tier, self.expected_tier)


def _is_by(tier: Tier, other: Tier) -> bool:
    tiers = list(Tier)
    return tiers.index(tier) <= tiers.index(other)


class SoundRun(BaseModel):
    """A certification of sound originals; whatever fails in it is a false alarm.

    Attributes:
        original: what was certified, in every format.
        seed: which questions were asked.
        digests: of the artifacts.
        alarms: the checks that failed.
        status, score: of the certificate.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    original: Original
    tier: Tier
    seed: int
    digests: dict[Format, str]
    alarms: tuple[Catch, ...]
    checks: int
    status: Status
    score: int
    reason: str = ""


class Detection(BaseModel):
    """The trials of one model.

    Attributes:
        model_id: of the playbook.
        digest: of the model's SafeTensors.
        versions: of what ran, by name.
        complete: every check was carried out, not only up to the first that failed.
        basis: digest over all that a trial follows from; trials of the same basis go together.
        finished: when the last trial ended, or "" while some are left.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: str = SCHEMA_VERSION
    model_id: str
    digest: str
    tier: Tier
    seed: int
    complete: bool
    basis: str = ""
    command: str = ""
    finished: str = ""
    versions: dict[str, str] = Field(default_factory=dict)
    trials: tuple[Trial, ...]
    sound: tuple[SoundRun, ...]

    def to_json(self) -> str:
        """Return it as JSON, indented, ending with a newline."""
        return self.model_dump_json(indent=1) + "\n"
