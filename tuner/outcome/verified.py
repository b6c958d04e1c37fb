"""Result of `tuner verify`: the promise of a best.yaml beside what was measured here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tuner.bench.measurement import Windows
from tuner.decision.verification import Promise, Verification
from tuner.deploy.best import Best
from tuner.evidence.candidates import MetricValues
from tuner.evidence.pooled_metrics import metrics_of, pool
from tuner.phases.verification import Verified
from tuner.statistics.verification_test import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """The answer to one promise, with everything that a person or a build needs of it."""

    path: Path
    against: Path | None
    best: Best
    reference: str
    """Name of the baseline, or words for the configuration of the other file."""
    promise: Promise
    differences: tuple[str, ...]
    """Sentences on how this host differs from the measured one, and on what is not checked."""
    verified: Verified

    @property
    def found(self) -> Verification:
        """Findings of the sessions."""
        return self.verified.verification

    @property
    def answer(self) -> Answer:
        """The answer of all claims together."""
        return self.found.answer

    @property
    def metrics(self) -> dict[str, MetricValues]:
        """Pooled metrics of the configuration and of the reference, without a side that never ran."""
        sides = {"this file": 1, self.reference: 0}
        found = {}
        for name, index in sides.items():
            ran = [m for s in self.verified.sessions if isinstance(m := s.members[index], Windows)]
            if ran:
                found[name] = metrics_of(pool(ran))
        return found
