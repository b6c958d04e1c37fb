"""A Gaussian process over the listed points of a space: what it expects of those nobody has measured.

Knows points, values and their errors; not Optuna, trials or time. A few dozen lines of numpy: known errors of each
value, small data and a finite set of points are all it needs, and the libraries that have more bring scipy or torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tuner.study.distributions import normal_cdf
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
RUGGED_SD, RUGGED_SPREAD = 0.01, 1.0
"""Prior of what no neighbour tells of a point (log-ratio, lognormal): tiles, alignment, who shares a cache. 1 % where
it was assumed, 10 to 30 % on tiny models on two CPUs. On a plateau the best is the luckiest of these, and a process
without them would be sure too early that nothing is left."""
JITTER = 1e-8
"""Variance that keeps a factor in existence where two observations are of one point."""
UNDIVIDED = 4 * 65536
"""Multiplications up to which OpenBLAS uses one thread (its SMP_THRESHOLD_MIN times GEMM_MULTITHREAD_THRESHOLD)."""
SLICE = 256
"""Points at once: what is worked out of them and `MOST_VALUES` values stays in the cache of one core."""
WORTH_A_TRIAL = 0.0001
"""Less expected improvement (log-ratio) than this and the search is over."""
FEWEST_TO_FIT = 4
"""With fewer observations any point will do: a process that has seen two is drawn to the corners."""
FEWEST, FEWEST_SHARE, FEWEST_OF_MANY = 12, 0.5, 40
"""With fewer observations, or than half of the points or 40 of many, the model's opinion that nothing is left is not
worth much: the best of 90 was 13 % above neighbours that differ by no more than its own noise had they been equal."""
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
        self._space = space
        self._known: dict[tuple[tuple[str, Value], ...], list[float]] = {}
        self._features = self._numbers(points.values())
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
        few = max(FEWEST, min(FEWEST_OF_MANY, FEWEST_SHARE * len(self.points)))
        is_open = len(observations) < few or not any(o.is_feasible for o in observations)
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
            probability *= sum(weight * normal_cdf(-mean / sd) for weight, mean, sd, _ in predictions)
        if not feasible:
            return probability
        gains = np.zeros(len(self.points))
        for weight, mean, sd, fitted in self._predictions(seen, [o.value for o in seen], ""):
            gains += weight * _improvement(mean, sd, float(fitted[feasible].max()))
        return gains * probability

    def _numbers(self, points: Iterable[Assignment]) -> Floats:
        """The features of points, shape [points, features]; each is worked out once."""
        keys = [tuple(point.items()) for point in points]
        for key in keys:
            if key not in self._known:
                self._known[key] = features(self._space, dict(key))
        return np.array([self._known[key] for key in keys])

    def _predictions(
        self, seen: Sequence[Observation], values: Sequence[float], what: str
    ) -> list[tuple[float, Floats, Floats, Floats]]:
        """(weight, mean and sd at each point, mean at what was observed) under the likeliest hyperparameters."""
        x = self._numbers(o.point for o in seen)
        y = np.array(values)
        noise = np.array([o.sd**2 for o in seen])
        found = []
        for weight, theta, center in self._likeliest(x, y, noise, what):
            mean, sd, fitted = predict(theta, x, y - center, noise, self._features)
            found.append((weight, mean + center, sd, fitted + center))
        return found

    def _likeliest(self, x: Floats, y: Floats, noise: Floats, what: str) -> list[tuple[float, Floats, float]]:
        """(weight, hyperparameters, center of the values) of the likeliest draws."""
        center = float(np.average(y, weights=1.0 / (noise + np.var(y) + 1e-12)))
        signal = max(SMALLEST_SIGNAL, float(np.std(y)))
        thetas = self._draw(self._rng(len(y)), x.shape[1], signal, self._near.get(what))
        scores = log_likelihoods(thetas, x, y - center, noise) + _log_priors(thetas, signal)
        order = np.argsort(scores)[::-1][: KEPT if len(y) <= FEW else KEPT_OF_MANY]
        self._near[what] = thetas[order[0]]
        weights = np.exp(scores[order] - scores[order[0]])
        shares = (weights / weights.sum()).tolist()
        return [(share, theta, center) for share, theta in zip(shares, thetas[order], strict=True)]

    def _rng(self, count: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, count])

    def _draw(self, rng: np.random.Generator, dimensions: int, signal: float, last: Floats | None) -> Floats:
        """Logs of the signal's sd, of the ruggedness and of each length scale, shape [DRAWS, 2 + dimensions]."""
        center = np.array([math.log(signal), math.log(RUGGED_SD), *[math.log(LENGTH_MEDIAN)] * dimensions])
        spread = np.array([SIGNAL_SPREAD, RUGGED_SPREAD, *[LENGTH_SPREAD] * dimensions])
        fresh = center + spread * rng.standard_normal((DRAWS, 2 + dimensions))
        if last is None:
            fresh[0] = center
            return fresh
        near = last + NEAR_SPREAD * rng.standard_normal((DRAWS // 2, 2 + dimensions))
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


def _matern(distance: Floats) -> Floats:
    """Matern 5/2 of distances in length scales, times the root of 5 (Rasmussen & Williams, 2006, 4.2.1)."""
    return np.asarray((1.0 + distance * (1.0 + distance / 3.0)) * np.exp(-distance))


def _product(a: Floats, b: Floats) -> Floats:
    """`a @ b`, in slices that OpenBLAS does by itself: its threads wait for each other in a loop, which on a host that
    does something else took four times as long as one thread."""
    found = np.empty((len(a), b.shape[1]))
    rows = max(1, UNDIVIDED // b.size)
    for i in range(0, len(a), rows):
        np.matmul(a[i : i + rows], b, out=found[i : i + rows])
    return found


def kernel(theta: Floats, a: Floats, b: Floats) -> Floats:
    """The covariance of points, shape [len(a), len(b)]; a length scale for each feature. The squares of the distances
    are put together from products of matrices: between thousands of points those take a tenth of the time."""
    scale = math.sqrt(5.0) * np.exp(-theta[2:])
    ours, theirs = a * scale, b * scale
    squares = (ours * ours).sum(axis=1)[:, None] + (theirs * theirs).sum(axis=1) - 2.0 * _product(ours, theirs.T)
    return np.asarray(math.exp(2.0 * theta[0]) * _matern(np.sqrt(np.maximum(squares, 0.0))))


def log_likelihoods(thetas: Floats, x: Floats, y: Floats, noise: Floats) -> Floats:
    """Of the values `y` at `x` under each set of hyperparameters, up to a constant: shape [len(thetas)].

    All at once, each pair of points once. The last row of the Cholesky factor of [[K, y], [y', c]] is L^-1 y, which is
    all that the likelihood wants of a solution; `c` only has to be larger than y' K^-1 y, and its smallest eigenvalue
    bounds that (Rasmussen & Williams, 2006, algorithm 2.1, has it in two steps).
    """
    n = len(y)
    rows, columns = np.tril_indices(n, -1)
    squares = (x[rows] - x[columns]) ** 2
    between = _matern(np.sqrt(_product(5.0 * np.exp(-2.0 * thetas[:, 2:]), squares.T)))
    signals = np.exp(2.0 * thetas[:, 0])
    own = np.exp(2.0 * thetas[:, 1])[:, None] + noise + JITTER
    whole = np.zeros((len(thetas), n + 1, n + 1))
    whole[:, rows, columns] = signals[:, None] * between
    whole[:, range(n), range(n)] = signals[:, None] + own
    whole[:, n, :n] = y
    whole[:, n, n] = 1.0 + 2.0 * float(y @ y) / float(own.min())
    lower = np.linalg.cholesky(whole)  # reads the lower triangles only
    logs = np.log(np.diagonal(lower, axis1=1, axis2=2)[:, :n]).sum(axis=1)
    return np.asarray(-0.5 * (lower[:, n, :n] ** 2).sum(axis=1) - logs)


def predict(theta: Floats, x: Floats, y: Floats, noise: Floats, points: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean and sd at each of `points`, mean at what was observed (Rasmussen & Williams, 2006, algorithm 2.1)."""
    unit = np.eye(len(y))
    rugged = math.exp(2.0 * theta[1])
    own = kernel(theta, x, x) + rugged * unit
    inverse = np.linalg.solve(np.linalg.cholesky(own + np.diag(noise + JITTER)), unit)
    alpha = inverse.T @ (inverse @ y)
    mean, variance = np.empty(len(points)), np.empty(len(points))
    for i in range(0, len(points), SLICE):
        cross = kernel(theta, points[i : i + SLICE], x)
        half = _product(cross, inverse.T)
        mean[i : i + SLICE] = cross @ alpha
        variance[i : i + SLICE] = math.exp(2.0 * theta[0]) + rugged - np.einsum("ij,ij->i", half, half)
    return mean, np.sqrt(np.maximum(variance, 1e-12)), own @ alpha


def _log_priors(thetas: Floats, signal: float) -> Floats:
    lengths = (thetas[:, 2:] - math.log(LENGTH_MEDIAN)) / LENGTH_SPREAD
    rugged = (thetas[:, 1] - math.log(RUGGED_SD)) / RUGGED_SPREAD
    levels = (thetas[:, 0] - math.log(signal)) / SIGNAL_SPREAD
    return np.asarray(-0.5 * ((lengths**2).sum(axis=1) + rugged**2 + levels**2))


def _improvement(mean: Floats, sd: Floats, best: float) -> Floats:
    """E[max(0, f - best)] of a normal f (Jones, Schonlau & Welch, 1998)."""
    z = (mean - best) / sd
    density = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return np.asarray((mean - best) * normal_cdf(z) + sd * density)


def _manageable(observations: Sequence[Observation]) -> list[Observation]:
    if len(observations) <= MOST_VALUES:
        return list(observations)
    order = sorted(range(len(observations)), key=lambda i: -observations[i].value)
    best = order[: MOST_VALUES // 3]
    latest = sorted(order[MOST_VALUES // 3 :])[-(MOST_VALUES - len(best)) :]
    return [observations[i] for i in (*best, *latest)]
