"""What the search knows, as the Gaussian process wants it: points, values, errors; and which points are worth a trial.

Knows candidates and baselines; neither the process nor the order of trials.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from tuner.bench.metrics import METRICS
from tuner.bench.protocol import Windows
from tuner.study.evidence import Candidate, Estimate
from tuner.study.expected_improvement import Observation
from tuner.study.front import direction
from tuner.study.session_plan import longest_window_s
from tuner.study.space import Assignment
from tuner.study.state import Reference, StudyState

ROUNDS = 4
"""A window holds so many rounds of all requests (measurement.md)."""
FAILED_SD = 0.1
"""A configuration that fails is taken for as bad as the worst, give or take so much: its neighbours may fail too."""


def observations(
    reference: Reference,
    candidates: Iterable[Candidate],
    points: Mapping[str, Assignment],
    uniform: Sequence[float] = (),
) -> list[Observation]:
    """The candidates, and the baselines that are `points` (effective key -> assignment) of the space.

    With several objectives one value is made of them, in the direction that `uniform` draws: numbers in (0, 1), one an
    objective."""
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


def fast_enough(state: StudyState, left: Mapping[str, Assignment], best: Candidate | None) -> dict[str, Assignment]:
    """Those whose window would end in time were they as fast as the best: the others are no answer, see
    `SessionPlan.max_window_s`."""
    members = dict(zip(state.setup.baselines, state.reference.line.session.members, strict=True))
    reference = members[state.reference.ranking.reference]
    assert isinstance(reference, Windows)
    samples_per_s = METRICS["throughput"].read(reference.windows)
    if best is not None and state.study.objective.metric == "throughput":
        samples_per_s *= math.exp(max(0.0, best.value))
    most = longest_window_s(state, state.reference) * samples_per_s / ROUNDS
    configs = {key: state.setup.configuration(assignment) for key, assignment in left.items()}
    return {key: left[key] for key, c in configs.items() if c.batch_size * (c.infer_requests or 1) <= most}
