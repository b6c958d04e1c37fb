"""Several objectives as pure functions: domination, layers of points, the knee, and weighed sums.

Responsible for values that are log-ratios, positive = better in every objective. Must not import windows, phases,
files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tuner.statistics.sequential_test import gain_log, interval, is_proved
from tuner.statistics.session_effect import Estimate

T = TypeVar("T")

TIE = gain_log(1.0)
"""Difference (log-ratio, 1 %) below which two values count as equal (tuner/README.md)."""

CLEAR_SDS = 2.0
"""Standard errors by which a point must be ahead in a search to exclude another from the final."""

REMOVAL_ALPHA = 0.025
"""One-sided alpha with which another point must be better in one objective to remove a point from the front.

A removal promises no gain, so it takes nothing of the alpha that the verdict may spend.
"""

BLEND = 0.05
"""Weight of the sum beside the worst objective in a weighed value, so that ties in the worst are broken.

The number is that of ParEGO (Knowles, IEEE Transactions on Evolutionary Computation 10, 2006).
"""


def is_dominated(value: Sequence[float], by: Sequence[float]) -> bool:
    """Returns True if `by` is no worse in any objective and better in one, as plain numbers."""
    return all(b >= a for a, b in zip(value, by, strict=True)) and tuple(value) != tuple(by)


def is_clearly_dominated(one: Sequence[Estimate], by: Sequence[Estimate]) -> bool:
    """Returns True if `by` is clearly ahead in one objective, and in none behind by more than a tie.

    Clearly ahead is by more than a tie and by more than two standard errors.
    """
    gaps = [(b.value - a.value, math.hypot(a.sd, b.sd)) for a, b in zip(one, by, strict=True)]
    is_ahead = any(gap > max(TIE, CLEAR_SDS * sd) for gap, sd in gaps)
    return is_ahead and all(gap >= -TIE for gap, _ in gaps)


def is_beaten(gaps: Sequence[Sequence[float]], *, sd_floor: float = 0.0) -> bool:
    """Returns True if paired evidence takes a point off the front.

    `gaps` holds, for each objective, how much better the other point was in each session that both shared, as
    log-ratios. The other must be better in one objective, by a tie at least on average and beyond chance by a
    t-interval over the sessions, and behind by no more than a tie in any. Fewer than two sessions are no evidence.
    """
    if any(len(values) < 2 for values in gaps):
        return False
    found = [interval(values, REMOVAL_ALPHA, sd_floor=sd_floor) for values in gaps]
    is_better = any(is_proved(i, TIE) for i in found)
    return is_better and all(i.estimate >= -TIE for i in found)


def survivors(points: Sequence[T], beats: Callable[[T, T], bool], worth: Callable[[T], float]) -> list[T]:
    """Returns the points that no other point beats, in the order given.

    `beats(a, b)` is True if a is better. The point of the least `worth` is asked first. Three points may beat each
    other in a ring, because ties are not transitive: a removed point beats none, so that at least one point stays.
    """
    alive = list(points)
    for point in sorted(points, key=worth):
        if any(beats(other, point) for other in alive if other is not point):
            alive.remove(point)
    return alive


def layers(values: Mapping[str, Sequence[float]]) -> list[list[str]]:
    """Returns the names in layers: first the points that none dominates, then those that none of the rest dominates.

    Within a layer the points are ordered by crowding distance, the layer's ends first (Deb and others, NSGA-II, IEEE
    Transactions on Evolutionary Computation 6, 2002).
    """
    rest = dict(values)
    found = []
    while rest:
        front = [name for name, value in rest.items() if not any(is_dominated(value, by) for by in rest.values())]
        found.append(_spread({name: rest.pop(name) for name in front}))
    return found


def _spread(values: Mapping[str, Sequence[float]]) -> list[str]:
    """Returns the names by crowding distance, the largest first (Deb and others, 2002)."""
    distance = dict.fromkeys(values, 0.0)
    for i in range(len(next(iter(values.values())))):
        order = sorted(values, key=lambda name: (-values[name][i], name))
        span = values[order[0]][i] - values[order[-1]][i]
        distance[order[0]] = distance[order[-1]] = math.inf
        for before, name, after in zip(order, order[1:], order[2:], strict=False):
            distance[name] += (values[before][i] - values[after][i]) / span if span > 0 else 0.0
    return sorted(values, key=lambda name: (-distance[name], tuple(-v for v in values[name]), name))


def knee(values: Sequence[Sequence[float]], extent: Sequence[Sequence[float]] | None = None) -> int:
    """Returns the index of the knee among points of a front: the farthest from the line between the front's ends.

    Every objective is scaled to 0 at the worst and 1 at the best of `extent`, the whole front (default: `values`). The
    definition is the normal-boundary one (Das, Structural Optimization 18, 1999), on logarithms, where the same factor
    is the same distance. With more than two objectives the line is the plane through the ends. The distance is (sum -
    1) / sqrt(objectives), so the knee has the largest sum; of equal sums, the best in the first objective. Raises
    ValueError for no points.
    """
    if not values:
        raise ValueError("a front without points has no knee")
    sums = [sum(scaled) for scaled in normalised(values, extent or values)]
    best = max(sums)
    return max((i for i, s in enumerate(sums) if s >= best - 1e-9), key=lambda i: values[i][0])


def normalised(values: Sequence[Sequence[float]], extent: Sequence[Sequence[float]]) -> list[list[float]]:
    """Returns each objective scaled to [0, 1] over `extent`; 1 for an objective that does not differ."""
    ends = [(min(column), max(column)) for column in zip(*extent, strict=True)]
    return [
        [(v - low) / (high - low) if high > low else 1.0 for v, (low, high) in zip(value, ends, strict=True)]
        for value in values
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """Several objectives as one weighed value, scaled by the extent of the points that were seen."""

    weights: Sequence[float]
    """Weight of each objective; the mean is 1."""
    highs: Sequence[float]
    """Largest value seen of each objective (log-ratio)."""
    spans: Sequence[float]
    """Difference between the largest and the smallest value seen of each objective, at least a tie."""

    @property
    def unit(self) -> float:
        """Factor that brings weighed values back to log-ratios of the objective that differs least."""
        return min(self.spans)

    def weigh(self, values: Sequence[float]) -> float:
        """Returns the augmented Chebyshev value (Knowles, ParEGO, 2006) of one value per objective.

        The value is the negative distance of the most lagging weighed objective to the best seen, and a little of the
        sum. Some weights make any point of a front the best, even on a concave front.
        """
        parts = [
            weight * (high - value) / span
            for weight, value, high, span in zip(self.weights, values, self.highs, self.spans, strict=True)
        ]
        return -self.unit * (max(parts) + BLEND * sum(parts))

    def weigh_sd(self, sds: Sequence[float]) -> float:
        """Returns the largest error that a weighed value may have, from one error per objective."""
        return self.unit * max(w * sd / span for w, sd, span in zip(self.weights, sds, self.spans, strict=True))


def direction(uniform: Sequence[float], seen: Sequence[Sequence[float]]) -> Direction:
    """Returns weights that are uniform on the simplex, over the extent of the points that were `seen`.

    `uniform` holds a number in (0, 1) for each objective. An objective that does not differ has the span of a tie.
    """
    parts = [-math.log(u) for u in uniform]
    columns = list(zip(*seen, strict=True))
    highs = [max(column) for column in columns]
    return Direction(
        weights=[len(parts) * part / sum(parts) for part in parts],
        highs=highs,
        spans=[max(TIE, high - min(column)) for column, high in zip(columns, highs, strict=True)],
    )
