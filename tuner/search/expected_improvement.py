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
from tuner.search.gaussian_process import Floats, Prediction, likeliest, predict
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

    def batch(
        self,
        observations: Sequence[Observation],
        open_points: Mapping[str, Assignment],
        pending: Sequence[Assignment] = (),
        n: int = 1,
    ) -> tuple[list[Assignment], float]:
        """Returns up to `n` open points that promise most together, and their expected improvement (log-ratio).

        There are none if no point is worth a trial. Below `FEWEST_TO_FIT` observations the points are as far as
        possible from each other and from the known ones. Else each point has the largest expected improvement given
        that the points before it, and the pending ones, are what the process believes (the "kriging believer",
        Ginsbourger, Le Riche & Carraro, 2010).
        """
        if len(observations) < FEWEST_TO_FIT:
            return self._spread(open_points, [*(o.point for o in observations), *pending], n), math.inf
        few = max(FEWEST, min(FEWEST_OF_MANY, FEWEST_SHARE * len(self.points)))
        feasible = any(o.is_feasible for o in observations)
        is_open = len(observations) < few or not feasible
        beliefs = self._beliefs(observations)
        for point in pending:
            self._believe(beliefs, point)
        open_keys = dict(open_points)
        chosen: list[Assignment] = []
        worth = 0.0
        while open_keys and len(chosen) < n:
            gains = _expected_improvement(beliefs)
            key = max(open_keys, key=lambda key: gains[self._index[key]])
            if not is_open and gains[self._index[key]] <= WORTH_A_TRIAL:
                break
            worth += float(gains[self._index[key]])
            chosen.append(open_keys.pop(key))
            self._believe(beliefs, chosen[-1])
        return chosen, worth if feasible else math.inf

    def expected_improvement(self, observations: Sequence[Observation]) -> Floats:
        """Returns the expected improvement (log-ratio) of each point, times the chance that it keeps the limits.

        The shape is [points]. Improvement counts from the largest predicted mean of an observation that keeps the
        limits, since the largest value itself is luck. If no observation keeps the limits, the chance alone is
        returned.
        """
        return _expected_improvement(self._beliefs(observations))

    def _beliefs(self, observations: Sequence[Observation]) -> _Beliefs:
        """Returns what is believed of each point: its value, and its excess over each limit."""
        seen = _manageable(observations)
        feasible = [i for i, o in enumerate(seen) if o.is_feasible]
        limits = {}
        for limit in sorted({name for o in seen for name in o.excess}):
            known = [o for o in seen if limit in o.excess]
            limits[limit] = self._fits(known, [o.excess[limit] for o in known], limit)
        values = self._fits(seen, [o.value for o in seen], "") if feasible else []
        for fit in values:
            fit.best = float(fit.prediction.fitted[feasible].max())
        return _Beliefs(values=values, limits=limits, noise=float(np.median([o.sd**2 for o in seen])))

    def _believe(self, beliefs: _Beliefs, point: Assignment) -> None:
        """Takes what is believed of a point for measured; a point that is not listed tells nothing."""
        features = self._features_of([point])[0]
        rows = np.flatnonzero((self._features == features).all(axis=1))
        if len(rows):
            beliefs.believe(self._features, int(rows[0]))

    def _spread(self, open_points: Mapping[str, Assignment], near: Sequence[Assignment], n: int) -> list[Assignment]:
        """Returns `n` open points, each as far as possible from `near` and from the points before it.

        Greedy maximin distances (Kennard & Stone, Technometrics 11, 1969), equal ones in a random order.
        """
        keys = list(open_points)
        order = self._rng(len(near)).permutation(len(keys))
        x = self._features[[self._index[keys[i]] for i in order]]
        distance = np.full(len(x), math.inf)
        for features in self._features_of(near) if near else ():
            distance = np.minimum(distance, ((x - features) ** 2).sum(axis=1))
        chosen: list[Assignment] = []
        for _ in range(min(n, len(keys))):
            best = int(np.argmax(distance))
            chosen.append(open_points[keys[order[best]]])
            distance = np.minimum(distance, ((x - x[best]) ** 2).sum(axis=1))
            distance[best] = -math.inf
        return chosen

    def _features_of(self, points: Iterable[Assignment]) -> Floats:
        """Returns the features of points, shape [points, features], each computed once."""
        keys = [tuple(point.items()) for point in points]
        for key in keys:
            if key not in self._known:
                self._known[key] = features(self._space, dict(key))
        return np.array([self._known[key] for key in keys])

    def _fits(self, seen: Sequence[Observation], values: Sequence[float], what: str) -> list[_Fit]:
        """Returns the likeliest fits to the values, each with its prediction of every point."""
        x = self._features_of(o.point for o in seen)
        y = np.array(values)
        noise = np.array([o.sd**2 for o in seen])
        fits = likeliest(x, y, noise, rng=self._rng(len(y)), last=self._last.get(what))
        self._last[what] = fits[0][1]
        found = []
        for weight, theta, center in fits:
            prediction = predict(theta, x, y - center, noise, self._features)
            prediction.mean += center
            prediction.fitted += center
            found.append(_Fit(weight=weight, theta=theta, prediction=prediction))
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


@dataclass(slots=True, kw_only=True)
class _Fit:
    """One set of hyperparameters and what it predicts."""

    weight: float
    theta: Floats
    prediction: Prediction
    best: float = -math.inf
    """Largest mean of a point that keeps the limits, measured or believed."""


@dataclass(slots=True, kw_only=True)
class _Beliefs:
    """The fits to the values and to the excess over each limit."""

    values: list[_Fit]
    """Empty if no observation keeps the limits."""
    limits: Mapping[str, list[_Fit]]
    noise: float
    """Variance of a measurement."""

    def believe(self, points: Floats, i: int) -> None:
        """Takes the mean of point `i` for its measured value."""
        for fit in (*self.values, *(fit for fits in self.limits.values() for fit in fits)):
            fit.prediction.believe(fit.theta, points, i, self.noise)
        for fit in self.values:
            fit.best = max(fit.best, float(fit.prediction.mean[i]))


def _expected_improvement(beliefs: _Beliefs) -> Floats:
    """Returns the expected improvement of each point times the chance that it keeps every limit."""
    fits = next(iter(beliefs.limits.values()), None) or beliefs.values
    probability = np.ones(len(fits[0].prediction.mean))
    for fits in beliefs.limits.values():
        predictions = ((fit.weight, fit.prediction) for fit in fits)
        probability *= sum(weight * normal_cdf(-found.mean / found.sd) for weight, found in predictions)
    if not beliefs.values:
        return probability
    gains = np.zeros(len(probability))
    for fit in beliefs.values:
        gains += fit.weight * _improvement(fit.prediction.mean, fit.prediction.sd, fit.best)
    return gains * probability


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
