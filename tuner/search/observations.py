"""Makes observations of candidates and baselines for the Gaussian process, and finds points that are fast enough.

Responsible for values, errors and excesses of points. Must not import the process itself, phases or Optuna.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from tuner.bench.measurement import Windows
from tuner.bench.metrics import METRICS
from tuner.bench.turn import FEWEST_CYCLES
from tuner.evidence.candidates import Candidate
from tuner.evidence.state import Reference, StudyState
from tuner.planning.session_plan import longest_window_s
from tuner.search.expected_improvement import Observation
from tuner.statistics.pareto import direction
from tuner.statistics.session_effect import Estimate
from tuner.study.space import Assignment

UNSEEN_SHARE = 0.25
"""Share of the reference's speed that is expected of points before any candidate was measured."""

FAILED_SD = 0.1
"""Standard error (log-ratio) of a failed configuration, which counts as the worst value: neighbours may fail too."""


def observations(
    reference: Reference,
    candidates: Iterable[Candidate],
    points: Mapping[str, Assignment],
    uniform: Sequence[float] = (),
) -> list[Observation]:
    """Returns the observations of all candidates, and of the baselines that are `points` of the space.

    `points` maps effective keys to assignments. Several objectives become one value, weighed in the direction that
    `uniform` draws: a number in (0, 1) for each objective.
    """
    ranking = reference.ranking
    error = reference.noise.session_sd
    asked = [(c, c.assignment) for c in candidates if c.assignment is not None]
    measured = [(assignment, c.estimates, c.excesses) for c, assignment in asked if c.is_measured]
    known: list[tuple[Assignment, Sequence[Estimate], Mapping[str, float]]] = [
        (
            points[key],
            [
                Estimate(value=values[name], sd=error)
                for values in (ranking.values, *(ranking.others.values() if uniform else ()))
            ],
            ranking.violations[name],
        )
        for name, key in reference.baseline_keys.items()
        if key in points
    ]
    known += measured
    towards = direction(uniform, [[e.value for e in estimates] for _, estimates, _ in known]) if uniform else None
    found = [
        Observation(
            point=point,
            value=estimates[0].value if towards is None else towards.weigh([e.value for e in estimates]),
            sd=estimates[0].sd if towards is None else towards.weigh_sd([e.sd for e in estimates]),
            excess=excess,
        )
        for point, estimates, excess in known
    ]
    lowest = min((o.value for o in found), default=0.0)
    return found + [
        Observation(point=assignment, value=lowest, sd=FAILED_SD, is_failed=True)
        for c, assignment in asked
        if c.failure is not None
    ]


def fast_enough(state: StudyState, points: Mapping[str, Assignment], best: Candidate | None) -> dict[str, Assignment]:
    """Returns the points whose window would end in time at the speed of the best candidate.

    The longest window is `SessionPlan.max_window_s`; a configuration with a longer one cannot be the answer. Before any
    candidate was measured, points far from the reference may be much slower than the reference.
    """
    members = dict(zip(state.setup.baselines, state.reference.line.session.members, strict=True))
    reference = members[state.reference.ranking.reference]
    assert isinstance(reference, Windows)
    samples_per_s = METRICS["throughput"].read(reference.windows)
    if best is None:
        samples_per_s *= UNSEEN_SHARE
    if best is not None and state.study.objective.metric == "throughput":
        samples_per_s *= math.exp(max(0.0, best.value))
    most = longest_window_s(state, state.reference) * samples_per_s / FEWEST_CYCLES
    configs = {key: state.setup.configuration(assignment) for key, assignment in points.items()}
    return {key: points[key] for key, c in configs.items() if c.batch_size * (c.infer_requests or 1) <= most}
