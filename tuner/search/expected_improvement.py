"""The next point to measure: the one with the largest expected improvement under a Gaussian process.

Responsible for observations, the features of points and the end of a search. Must not import Optuna, phases or records.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tuner.bench.own_parameters import OWN_PARAMETERS
from tuner.bench.value import Value, is_same
from tuner.search.gaussian_process import Floats, likeliest, predict
from tuner.statistics.distributions import normal_cdf
from tuner.study.space import Assignment, Space

WORTH_A_TRIAL = 0.0001
"""Smallest expected improvement (log-ratio) for which another trial is measured."""

FEWEST_TO_FIT = 4
"""Number of observations below which a random point is taken: a process fitted to two is drawn to the corners."""

FEWEST, FEWEST_SHARE, FEWEST_OF_MANY = 12, 0.5, 40
"""Number of observations below which the search does not end: 12, half of the points, but no more than 40.

The best of 90 configurations was 13 % above neighbours that differ by no more than the noise of a value.
"""

MOST_VALUES = 90
"""Largest number of values that a process is fitted to, the best third and the latest: fitting takes n^3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One measured or failed point, with `value` as log-ratio and its standard error `sd`."""

    point: Assignment
    value: float
    sd: float
    excess: Mapping[str, float] = field(default_factory=dict)
    """Log of the excess over each limit, by metric; <= 0 keeps the limit."""
    is_failed: bool = False
    """True if the point did not run: `value` is a guess, and the point is no answer."""

    @property
    def is_feasible(self) -> bool:
        """True if the point ran and keeps every limit to within one standard error."""
        return not self.is_failed and max(self.excess.values(), default=0.0) <= self.sd


class Model:
    """Chooses among the points of a space by what a Gaussian process expects of each.

    Draws follow from the seed and the number of observations. The hyperparameters of the last fit are tried again, so a
    resumed search, which begins without these, may propose another point than an uninterrupted one.
    """

    def __init__(self, space: Space, points: Mapping[str, Assignment], *, seed: int) -> None:
        self.points = points
        """Effective key -> its canonical assignment."""
        self._index = {key: i for i, key in enumerate(points)}
        self._space = space
        self._known: dict[tuple[tuple[str, Value], ...], list[float]] = {}
        self._features = self._features_of(points.values())
        self._seed = seed
        self._last: dict[str, Floats] = {}
        """Metric of a limit, or "" for the objective -> the likeliest hyperparameters of the last fit."""

    def most_promising(
        self, observations: Sequence[Observation], open_points: Mapping[str, Assignment]
    ) -> Assignment | None:
        """Returns the open point with the largest expected improvement, or None if no point is worth a trial."""
        if not open_points:
            return None
        if len(observations) < FEWEST_TO_FIT:
            return open_points[list(open_points)[int(self._rng(len(observations)).integers(len(open_points)))]]
        gains = self.expected_improvement(observations)
        key = max(open_points, key=lambda key: gains[self._index[key]])
        few = max(FEWEST, min(FEWEST_OF_MANY, FEWEST_SHARE * len(self.points)))
        is_open = len(observations) < few or not any(o.is_feasible for o in observations)
        return open_points[key] if is_open or gains[self._index[key]] > WORTH_A_TRIAL else None

    def expected_improvement(self, observations: Sequence[Observation]) -> Floats:
        """Returns the expected improvement (log-ratio) of each point, times the chance that it keeps the limits.

        The shape is [points]. Improvement counts from the largest predicted mean of an observation that keeps the
        limits, since the largest value itself is luck. If no observation keeps the limits, the chance alone is
        returned.
        """
        seen = _manageable(observations)
        feasible = [i for i, o in enumerate(seen) if o.is_feasible]
        probability = np.ones(len(self.points))
        for limit in sorted({name for o in seen for name in o.excess}):
            known = [o for o in seen if limit in o.excess]
            predictions = self._predictions(known, [o.excess[limit] for o in known], limit)
            probability *= sum(weight * normal_cdf(-mean / sd) for weight, mean, sd, _ in predictions)
        if not feasible:
            return probability
        gains = np.zeros(len(self.points))
        for weight, mean, sd, fitted in self._predictions(seen, [o.value for o in seen], ""):
            gains += weight * _improvement(mean, sd, float(fitted[feasible].max()))
        return gains * probability

    def _features_of(self, points: Iterable[Assignment]) -> Floats:
        """Returns the features of points, shape [points, features], each computed once."""
        keys = [tuple(point.items()) for point in points]
        for key in keys:
            if key not in self._known:
                self._known[key] = features(self._space, dict(key))
        return np.array([self._known[key] for key in keys])

    def _predictions(
        self, seen: Sequence[Observation], values: Sequence[float], what: str
    ) -> list[tuple[float, Floats, Floats, Floats]]:
        """Returns (weight, mean and sd at each point, mean at each of `seen`) for each of the likeliest fits."""
        x = self._features_of(o.point for o in seen)
        y = np.array(values)
        noise = np.array([o.sd**2 for o in seen])
        fits = likeliest(x, y, noise, rng=self._rng(len(y)), last=self._last.get(what))
        self._last[what] = fits[0][1]
        found = []
        for weight, theta, center in fits:
            mean, sd, fitted = predict(theta, x, y - center, noise, self._features)
            found.append((weight, mean + center, sd, fitted + center))
        return found

    def _rng(self, count: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, count])


def features(space: Space, point: Assignment) -> list[float]:
    """Returns a point as numbers in [0, 1].

    An ordinal parameter has its position on a log grid, any other a column for each value. A parameter with a condition
    has one more column, 1 if the parameter is set. Requests and threads also count per stream, as a device does.
    """
    found: list[float] = []
    for parameter in space.parameters:
        is_set = parameter.name in point
        value = point.get(parameter.name)
        if parameter.when:
            found.append(float(is_set))
        if parameter.is_ordinal:
            found.append(_log_position(value, parameter.values) if is_set else 0.5)
        elif len(parameter.values) > 1:
            found += [float(is_set and is_same(value, v)) / math.sqrt(2.0) for v in parameter.values]
    values = {p.name: p.values for p in space.parameters}
    per_stream = (*(row.name for row in OWN_PARAMETERS.values() if row.is_per_stream), "INFERENCE_NUM_THREADS")
    for name in per_stream:
        if name in values and "NUM_STREAMS" in values:
            found.append(_ratio_position(point, name, values))
    return found


def _log_position(value: Value, values: Sequence[Value]) -> float:
    low, high = _number(values[0]), _number(values[-1])
    if low <= 0.0:
        return (_number(value) - low) / max(high - low, 1e-12)
    return math.log(_number(value) / low) / max(math.log(high / low), 1e-12)


def _ratio_position(point: Assignment, name: str, values: Mapping[str, Sequence[Value]]) -> float:
    ours, streams = _number(point.get(name)), _number(point.get("NUM_STREAMS"))
    if ours <= 0.0 or streams <= 0.0:
        return 0.5
    most = math.log(max(2.0, *map(_number, values["NUM_STREAMS"])))
    return (math.log(ours / streams) + most) / (most + math.log(max(2.0, *map(_number, values[name]))))


def _number(value: Value) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0


def _improvement(mean: Floats, sd: Floats, best: float) -> Floats:
    """Returns E[max(0, f - best)] of normal f (Jones, Schonlau & Welch, Journal of Global Optimization 13, 1998)."""
    z = (mean - best) / sd
    density = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return np.asarray((mean - best) * normal_cdf(z) + sd * density)


def _manageable(observations: Sequence[Observation]) -> list[Observation]:
    """Returns at most `MOST_VALUES` observations: the best third of that number and the latest of the others."""
    if len(observations) <= MOST_VALUES:
        return list(observations)
    order = sorted(range(len(observations)), key=lambda i: -observations[i].value)
    best = order[: MOST_VALUES // 3]
    latest = sorted(order[MOST_VALUES // 3 :])[-(MOST_VALUES - len(best)) :]
    return [observations[i] for i in (*best, *latest)]
