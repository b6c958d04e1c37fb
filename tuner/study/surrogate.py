"""A Gaussian process over the listed points of a space: what it expects of those nobody has measured.

Knows points, values and their errors; not Optuna, trials or time. A few dozen lines of numpy: known errors of each
value, small data and a finite set of points are all it needs, and the libraries that have more bring scipy or torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tuner.study.space import Assignment, Space, Value, is_same

Floats = npt.NDArray[np.float64]

DRAWS = 48
"""Hyperparameters tried at each fit: half near the best of the last one, half from the prior. The likelihood weighs
them, so that a handful of points does not settle what matters (as a full Bayesian treatment would have it)."""
KEPT, KEPT_OF_MANY, FEW = 8, 2, 80
"""The likeliest of them are used; with more than `FEW` values the likelihood leaves little doubt."""
LENGTH_MEDIAN, LENGTH_SPREAD = 0.9, 0.8
"""Prior of a length scale: lognormal; every feature spans [0, 1]."""
SIGNAL_SPREAD = 0.5
"""Prior of the signal's sd, lognormal around the spread of the values."""
SMALLEST_SIGNAL = 0.02
NEAR_SPREAD = 0.25
RUGGED_SD = 0.01
"""What no neighbour tells of a point (log-ratio): tiles, alignment, who shares a cache. On a plateau the best is the
luckiest of these, and a process without them would be sure too early that nothing is left."""
WORTH_A_TRIAL = 0.0001
"""Less expected improvement (log-ratio) than this and the search is over."""
FEWEST_TO_FIT = 4
"""With fewer observations any point will do: a process that has seen two is drawn to the corners."""
FEWEST = 12
"""With fewer observations the model's opinion that nothing is left is not worth much."""
MOST_VALUES = 90
"""Fitting takes n^3: of more values the best third and the latest of the others are used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """`value`: a log-ratio; `sd`: its standard error. `excess`: limit -> how far it is beyond, a log, <= 0 keeps it."""

    point: Assignment
    value: float
    sd: float
    excess: Mapping[str, float] = field(default_factory=dict)
    is_failed: bool = False
    """It did not run: `value` is a guess, and it is no answer."""

    @property
    def is_feasible(self) -> bool:
        return not self.is_failed and max(self.excess.values(), default=0.0) <= self.sd


class Model:
    """Draws follow from the seed and the number of observations; the hyperparameters of the last fit are tried again,
    so that a resumed search, which begins without them, may propose another point than an uninterrupted one."""

    def __init__(self, space: Space, points: Mapping[str, Assignment], *, seed: int) -> None:
        self.points = points
        """Effective key -> the assignment that stands for it."""
        self._places = {key: i for i, key in enumerate(points)}
        self._features = np.array([features(space, point) for point in points.values()])
        self._space = space
        self._seed = seed
        self._near: dict[str, Floats] = {}

    def most_promising(self, observations: Sequence[Observation], left: Mapping[str, Assignment]) -> Assignment | None:
        """Of the points in `left` the one with the largest expected improvement; None where none is worth a trial."""
        if not left:
            return None
        if len(observations) < FEWEST_TO_FIT:
            return left[list(left)[int(self._rng(len(observations)).integers(len(left)))]]
        gains = self.expected_improvement(observations)
        key = max(left, key=lambda key: gains[self._places[key]])
        is_open = len(observations) < FEWEST or not any(o.is_feasible for o in observations)
        return left[key] if is_open or gains[self._places[key]] > WORTH_A_TRIAL else None

    def expected_improvement(self, observations: Sequence[Observation]) -> Floats:
        """For each point how much better than the best it is expected to be, as a log-ratio, times the probability
        that it keeps the limits: shape [points].

        The best is the largest mean of what was observed and keeps the limits, as the process sees it: the largest
        value itself is luck. Where nothing keeps them the probability alone counts.
        """
        seen = _manageable(observations)
        feasible = [i for i, o in enumerate(seen) if o.is_feasible]
        probability = np.ones(len(self.points))
        for limit in sorted({name for o in seen for name in o.excess}):
            known = [o for o in seen if limit in o.excess]
            predictions = self._predictions(known, [o.excess[limit] for o in known], limit)
            probability *= sum(weight * _normal_cdf(-mean / sd) for weight, mean, sd, _ in predictions)
        if not feasible:
            return probability
        gains = np.zeros(len(self.points))
        for weight, mean, sd, fitted in self._predictions(seen, [o.value for o in seen], ""):
            gains += weight * _improvement(mean, sd, float(fitted[feasible].max()))
        return gains * probability

    def _predictions(
        self, seen: Sequence[Observation], values: Sequence[float], what: str
    ) -> list[tuple[float, Floats, Floats, Floats]]:
        """(weight, mean and sd at each point, mean at what was observed) under the likeliest hyperparameters."""
        x = np.array([features(self._space, o.point) for o in seen])
        y = np.array(values)
        noise = np.array([o.sd**2 for o in seen])
        center = float(np.average(y, weights=1.0 / (noise + np.var(y) + 1e-12)))
        signal = max(SMALLEST_SIGNAL, float(np.std(y)))
        thetas = self._draw(self._rng(len(seen)), x.shape[1], signal, self._near.get(what))
        between, across = _squares(x, x), _squares(self._features, x)
        fits = [_Fit.of(theta, between, y - center, noise) for theta in thetas]
        scores = np.array([fit.log_likelihood + _log_prior(fit.theta, signal) for fit in fits])
        order = np.argsort(scores)[::-1][: KEPT if len(seen) <= FEW else KEPT_OF_MANY]
        self._near[what] = thetas[order[0]]
        weights = np.exp(scores[order] - scores[order[0]])
        found = []
        for weight, i in zip(weights / weights.sum(), order, strict=True):
            mean, sd = fits[i].predict(across)
            found.append((float(weight), mean + center, sd, fits[i].fitted + center))
        return found

    def _rng(self, count: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, count])

    def _draw(self, rng: np.random.Generator, dimensions: int, signal: float, last: Floats | None) -> Floats:
        """Logs of the signal's sd and of each length scale, shape [DRAWS, 1 + dimensions]."""
        center = np.array([math.log(signal), *[math.log(LENGTH_MEDIAN)] * dimensions])
        spread = np.array([SIGNAL_SPREAD, *[LENGTH_SPREAD] * dimensions])
        fresh = center + spread * rng.standard_normal((DRAWS, 1 + dimensions))
        if last is None:
            fresh[0] = center
            return fresh
        near = last + NEAR_SPREAD * rng.standard_normal((DRAWS // 2, 1 + dimensions))
        near[0] = last
        return np.concatenate([near, fresh[DRAWS // 2 :]])


def features(space: Space, point: Assignment) -> list[float]:
    """A point as numbers in [0, 1]: numeric parameters on a log grid, a column for each other value, and one that says
    whether a parameter with a condition is asked at all. Requests count per stream, threads too: that is what a
    device feels of them."""
    found: list[float] = []
    for parameter in space.parameters:
        is_asked = parameter.name in point
        value = point.get(parameter.name)
        if parameter.when:
            found.append(float(is_asked))
        if parameter.is_ordinal:
            found.append(_log_place(value, parameter.values) if is_asked else 0.5)
        elif len(parameter.values) > 1:
            found += [float(is_asked and is_same(value, v)) / math.sqrt(2.0) for v in parameter.values]
    values = {p.name: p.values for p in space.parameters}
    for name in PER_STREAM:
        if name in values and "NUM_STREAMS" in values:
            found.append(_ratio_place(point, name, values))
    return found


PER_STREAM = ("infer_requests", "INFERENCE_NUM_THREADS")


def _log_place(value: Value, values: Sequence[Value]) -> float:
    low, high = _number(values[0]), _number(values[-1])
    if low <= 0.0:
        return (_number(value) - low) / max(high - low, 1e-12)
    return math.log(_number(value) / low) / max(math.log(high / low), 1e-12)


def _ratio_place(point: Assignment, name: str, values: Mapping[str, Sequence[Value]]) -> float:
    ours, streams = _number(point.get(name)), _number(point.get("NUM_STREAMS"))
    if ours <= 0.0 or streams <= 0.0:
        return 0.5
    most = math.log(max(2.0, *map(_number, values["NUM_STREAMS"])))
    return (math.log(ours / streams) + most) / (most + math.log(max(2.0, *map(_number, values[name]))))


def _number(value: Value) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0


def _squares(a: Floats, b: Floats) -> Floats:
    """Squared differences in each feature, shape [features, len(a), len(b)]."""
    return np.asarray((a.T[:, :, None] - b.T[:, None, :]) ** 2)


def _kernel(theta: Floats, squares: Floats) -> Floats:
    """Matern 5/2 with a length scale for each feature (Rasmussen & Williams, 2006, 4.2.1)."""
    r = np.sqrt(5.0 * np.tensordot(np.exp(-2.0 * theta[1:]), squares, axes=1))
    return np.asarray(np.exp(2.0 * theta[0]) * (1.0 + r + r * r / 3.0) * np.exp(-r))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fit:
    """The process under one set of hyperparameters (Rasmussen & Williams, 2006, algorithm 2.1)."""

    theta: Floats
    lower: Floats
    alpha: Floats
    log_likelihood: float
    fitted: Floats
    """The mean at each observed point."""

    @classmethod
    def of(cls, theta: Floats, between: Floats, y: Floats, noise: Floats) -> _Fit:
        own = _kernel(theta, between) + RUGGED_SD**2 * np.eye(len(y))
        lower = np.asarray(np.linalg.cholesky(own + np.diag(noise + 1e-8)), dtype=np.float64)
        alpha = np.linalg.solve(lower.T, np.linalg.solve(lower, y))
        likelihood = -0.5 * float(y @ alpha) - float(np.log(np.diag(lower)).sum())
        return cls(theta=theta, lower=lower, alpha=alpha, log_likelihood=likelihood, fitted=own @ alpha)

    def predict(self, across: Floats) -> tuple[Floats, Floats]:
        """Mean and sd at each point."""
        cross = _kernel(self.theta, across)
        half = np.linalg.solve(self.lower, cross.T)
        variance = math.exp(2.0 * self.theta[0]) + RUGGED_SD**2 - (half * half).sum(axis=0)
        return cross @ self.alpha, np.sqrt(np.maximum(variance, 1e-12))


def _log_prior(theta: Floats, signal: float) -> float:
    lengths = (theta[1:] - math.log(LENGTH_MEDIAN)) / LENGTH_SPREAD
    level = (theta[0] - math.log(signal)) / SIGNAL_SPREAD
    return -0.5 * (float(lengths @ lengths) + float(level) ** 2)


def _improvement(mean: Floats, sd: Floats, best: float) -> Floats:
    """E[max(0, f - best)] of a normal f (Jones, Schonlau & Welch, 1998)."""
    z = (mean - best) / sd
    density = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return np.asarray((mean - best) * _normal_cdf(z) + sd * density)


def _normal_cdf(z: Floats) -> Floats:
    return np.array([0.5 * math.erfc(-v / math.sqrt(2.0)) for v in z])


def _manageable(observations: Sequence[Observation]) -> list[Observation]:
    if len(observations) <= MOST_VALUES:
        return list(observations)
    order = sorted(range(len(observations)), key=lambda i: -observations[i].value)
    best = order[: MOST_VALUES // 3]
    latest = sorted(order[MOST_VALUES // 3 :])[-(MOST_VALUES - len(best)) :]
    return [observations[i] for i in (*best, *latest)]
