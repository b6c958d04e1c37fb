"""Several objectives as pure functions: who dominates whom, which points are worth more time, where the knee is.

Responsible for values that are log-ratios, positive = better in every objective. Must not know windows, phases, files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tuner.study.decision import gain_log, interval
from tuner.study.evidence import Candidate, Estimate, ranked
from tuner.study.study import Objective

T = TypeVar("T")

TIE = gain_log(1.0)
"""Two values closer than 1 % are alike (measurement.md, Pareto)."""
CLEAR_SDS = 2.0
"""By so many standard errors a search must see one point ahead of another before that one is left out of the field."""
LEAVE_LEVEL = 0.025
"""One-sided: that another point is better in one objective is believed at this level before a point leaves the front.
Leaving promises no gain, so it takes nothing of the error that the verdict may spend."""
BLEND = 0.05
"""Of the sum beside the worst objective in a weighed value: among points that are equal there the others count
(Knowles, ParEGO, 2006)."""


def is_dominated(value: Sequence[float], by: Sequence[float]) -> bool:
    """Whether `by` is no worse in any objective and better in one, as plain numbers."""
    return all(b >= a for a, b in zip(value, by, strict=True)) and tuple(value) != tuple(by)


def is_clearly_dominated(one: Sequence[Estimate], by: Sequence[Estimate]) -> bool:
    """By what a search knows: `by` is ahead in one objective by more than a tie and two standard errors, and in none
    behind by more than a tie."""
    gaps = [(b.value - a.value, math.hypot(a.sd, b.sd)) for a, b in zip(one, by, strict=True)]
    is_ahead = any(gap > max(TIE, CLEAR_SDS * sd) for gap, sd in gaps)
    return is_ahead and all(gap >= -TIE for gap, _ in gaps)


def is_beaten(gaps: Sequence[Sequence[float]], *, sd_floor: float = 0.0) -> bool:
    """Whether paired evidence takes a point off the front. `gaps`: for each objective, how much better the other point
    was in each session that both shared, as log-ratios.

    The other must be better in one objective, beyond a tie on average and beyond chance by a t-interval over the
    sessions, and on average not behind by more than a tie in any. Too few sessions are no evidence.
    """
    if any(len(values) < 2 for values in gaps):
        return False
    found = [interval(values, LEAVE_LEVEL, sd_floor=sd_floor) for values in gaps]
    is_better = any(i.low > 0.0 and i.estimate > TIE for i in found)
    return is_better and all(i.estimate >= -TIE for i in found)


def survivors(points: Sequence[T], beats: Callable[[T, T], bool], worth: Callable[[T], float]) -> list[T]:
    """The points that none of the others `beats` (the better one is the first argument), in the order given.

    The least worth is asked first. With ties within ties three points may beat each other in a ring: one that has
    left beats nobody, so that at least one always stays.
    """
    alive = list(points)
    for point in sorted(points, key=worth):
        if any(beats(other, point) for other in alive if other is not point):
            alive.remove(point)
    return alive


def layers(values: Mapping[str, Sequence[float]]) -> list[list[str]]:
    """The names in layers: those nobody dominates, then those nobody else dominates, and so on (Deb and others,
    NSGA-II, 2002); within a layer by how far the neighbours are, its ends first."""
    left = dict(values)
    found = []
    while left:
        front = [name for name, value in left.items() if not any(is_dominated(value, by) for by in left.values())]
        found.append(_spread({name: left.pop(name) for name in front}))
    return found


def _spread(values: Mapping[str, Sequence[float]]) -> list[str]:
    """By crowding distance, the loneliest first (Deb and others, 2002)."""
    distance = dict.fromkeys(values, 0.0)
    for i in range(len(next(iter(values.values())))):
        order = sorted(values, key=lambda name: (-values[name][i], name))
        span = values[order[0]][i] - values[order[-1]][i]
        distance[order[0]] = distance[order[-1]] = math.inf
        for before, name, after in zip(order, order[1:], order[2:], strict=False):
            distance[name] += (values[before][i] - values[after][i]) / span if span > 0 else 0.0
    return sorted(values, key=lambda name: (-distance[name], tuple(-v for v in values[name]), name))


def ranked_for(objective: Objective, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Measured candidates, most worth more time first. With one objective the best first; with several layer by layer,
    those beyond a limit behind the others, by how far they are off."""
    plain = ranked(candidates)
    if not objective.has_several:
        return plain
    feasible = {c.key: c for c in plain if c.is_feasible}
    order = layers({key: [e.value for e in c.estimates] for key, c in feasible.items()})
    return [*(feasible[key] for layer in order for key in layer), *(c for c in plain if not c.is_feasible)]


def knee(values: Sequence[Sequence[float]], extent: Sequence[Sequence[float]] | None = None) -> int:
    """The place of the knee among points of a front: the farthest from the line between its ends, where every objective
    is scaled to 0 at the worst and 1 at the best of `extent`, the whole front (default: the points themselves).

    The normal-boundary definition of a knee (Das, Structural Optimization 18, 1999), on logarithms, in which the same
    factor is the same step. With more than two objectives the line is the plane through the ends, and the distance
    in any number of them is (sum - 1) / root(objectives): the largest sum. Of equals, two ends alone for example, it
    is the best in the first objective. Raises ValueError where there are no points.
    """
    if not values:
        raise ValueError("a front without points has no knee")
    sums = [sum(scaled) for scaled in normalised(values, extent or values)]
    best = max(sums)
    return max((i for i, s in enumerate(sums) if s >= best - 1e-9), key=lambda i: values[i][0])


def normalised(values: Sequence[Sequence[float]], extent: Sequence[Sequence[float]]) -> list[list[float]]:
    """Each objective scaled to [0, 1] over `extent`; 1 where it does not differ."""
    ends = [(min(column), max(column)) for column in zip(*extent, strict=True)]
    return [
        [(v - low) / (high - low) if high > low else 1.0 for v, (low, high) in zip(value, ends, strict=True)]
        for value in values
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """Several objectives as one: by how much each of them weighs, over the extent of what was seen."""

    weights: Sequence[float]
    highs: Sequence[float]
    spans: Sequence[float]

    @property
    def unit(self) -> float:
        """Brings weighed values back to log-ratios of the objective that differs least."""
        return min(self.spans)

    def weigh(self, values: Sequence[float]) -> float:
        """The augmented Chebyshev value (Knowles, ParEGO, 2006): how far the objective that lags most under these
        weights is behind the best seen, and a little of the sum. With every weight in turn it reaches every point of a
        front, of a concave one too."""
        parts = [
            weight * (high - value) / span
            for weight, value, high, span in zip(self.weights, values, self.highs, self.spans, strict=True)
        ]
        return -self.unit * (max(parts) + BLEND * sum(parts))

    def weigh_sd(self, sds: Sequence[float]) -> float:
        """The error of a weighed value, as that of the objective that lags can be at most."""
        return self.unit * max(w * sd / span for w, sd, span in zip(self.weights, sds, self.spans, strict=True))


def direction(uniform: Sequence[float], seen: Sequence[Sequence[float]]) -> Direction:
    """Weights that are uniform on the simplex from numbers that are uniform in (0, 1), one an objective, over the
    extent of what was `seen`; an objective in which nothing differs counts in ties."""
    parts = [-math.log(u) for u in uniform]
    columns = list(zip(*seen, strict=True))
    highs = [max(column) for column in columns]
    return Direction(
        weights=[len(parts) * part / sum(parts) for part in parts],
        highs=highs,
        spans=[max(TIE, high - min(column)) for column, high in zip(columns, highs, strict=True)],
    )
