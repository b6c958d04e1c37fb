"""Finds the configurations that a search knows: measured ones, failed ones, and the baselines.

Responsible for effective keys and answers. Must not know which point is tried next.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tuner.bench.configuration import DeploymentConfig, Effective, Failure
from tuner.evidence.candidates import Candidate, ranked
from tuner.evidence.state import StudyState
from tuner.study.space import Assignment
from tuner.study.trial import Answer

Resolve = Callable[[DeploymentConfig], Effective | Failure]


@dataclass(slots=True, kw_only=True)
class KnownConfigurations:
    """Finds what is known of a configuration by the effective key that it resolves to.

    The key that a device reports of a compiled model may differ in a detail from the key that it resolves to.
    """

    state: StudyState
    resolve: Resolve
    baselines: Mapping[str, str]
    """Effective key -> name of the last baseline that has it, without the baselines that failed."""
    refused: dict[str, Failure] = field(default_factory=dict)
    """Properties that do not compile -> their failure in this run."""
    _asked: dict[str, Candidate] = field(default_factory=dict)
    """Effective key, as it resolves, of every configuration that was ever measured."""
    _read: int = 0
    """Number of requests that `_asked` has."""

    def candidate(self, key: str) -> Candidate | None:
        """Returns the candidate of an effective key, if it ran or failed."""
        evidence = self.state.evidence
        for config in itertools.islice(evidence.requests, self._read, None):
            effective = self.resolve(config)
            if not isinstance(effective, Failure):
                self._asked[effective.key] = evidence.requests[config]
        self._read = len(evidence.requests)
        found = self._asked.get(key) or evidence.candidates.get(key)
        return found if found is not None and found.is_known else None

    def is_known(self, key: str) -> bool:
        """Returns True if a candidate or a baseline has the effective key."""
        return key in self.baselines or self.candidate(key) is not None

    def is_new(self, assignment: Assignment) -> bool:
        """Returns True if nothing is known of the configuration of a point."""
        config = self.state.setup.configuration(assignment)
        effective = self.resolve(config)
        if isinstance(effective, Failure):
            return config.properties_key not in self.refused
        return not self.is_known(effective.key)

    def answer(self, key: str) -> Answer | None:
        """Returns what is known of an effective key as the answer to a proposal; None if nothing is."""
        candidate, baseline = self.candidate(key), self.baselines.get(key)
        if candidate is not None and candidate.failure is not None:
            return Answer(failure=str(candidate.failure))
        if candidate is not None:
            return Answer(
                value=candidate.value,
                others=tuple(estimate.value for estimate in candidate.estimates[1:]),
                constraints=candidate.comparisons[-1].violations,
                record={"same_as": f"trial {candidate.trial}"},
            )
        if baseline is None:
            return None
        ranking = self.state.reference.ranking
        return Answer(
            value=ranking.values[baseline],
            others=tuple(values[baseline] for values in ranking.others.values()),
            constraints=ranking.violations[baseline],
            record={"same_as": f"baseline {baseline}"},
        )

    def sessions_of(self, key: str) -> float:
        """Returns the number of sessions of a candidate; infinity if it failed, because it needs no more."""
        candidate = self.candidate(key)
        if candidate is None:
            return 0
        return (
            float("inf") if candidate.failure is not None else len(candidate.comparisons) + candidate.invalid_sessions
        )

    def incumbent(self) -> Candidate | None:
        """Returns the best candidate; None if none keeps the limits."""
        best = ranked(self.state.candidates.values())
        return best[0] if best and best[0].is_feasible else None

    def causes(self) -> list[str]:
        """Returns why configurations failed, refused ones first."""
        failures = [c.failure for c in self.state.candidates.values() if c.failure]
        return [str(failure) for failure in (*self.refused.values(), *failures)]
