"""A Gaussian process with a known error of each value: its likelihood, its predictions and its hyperparameters.

Responsible for arrays of numbers. Must not import spaces, points, trials or Optuna.

A set of hyperparameters `theta` is an array of logarithms: the signal's sd, the rugged sd, a length scale per feature.
scikit-learn draws no hyperparameters, and the samplers of Optuna and BoTorch bring torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

DRAWS = 48
"""Number of hyperparameter sets drawn at each fit: half near the best of the last fit, half from the prior.

The likelihood weighs the sets, as a full Bayesian treatment does, so that a handful of points does not settle which
feature matters.
"""

KEPT, KEPT_OF_MANY, FEW = 8, 2, 80
"""Number of likeliest sets that are kept for up to `FEW` values, and for more values, which leave little doubt."""

LENGTH_MEDIAN, LENGTH_SPREAD = 0.9, 0.8
"""Median and log-sd of a length scale's lognormal prior; every feature spans [0, 1]."""

SIGNAL_SPREAD = 0.5
"""Log-sd of the prior of the signal's sd, which is lognormal around the spread of the values."""

SMALLEST_SIGNAL = 0.02
"""Smallest median of that prior (log-ratio): equal values alone do not show that the space is flat."""

NEAR_SPREAD = 0.25
"""Log-sd of the draws near the best set of the last fit."""

RUGGED_SD, RUGGED_SPREAD = 0.01, 1.0
"""Median (log-ratio) and log-sd of the lognormal prior of the rugged sd.

The rugged part of a value is the one that no neighbour predicts: tiles, alignment, shared caches. 1 % was assumed, 10
to 30 % was seen on tiny models on two CPUs. On a plateau the best point is the luckiest in this part, and a process
without it is sure too early that no point is better.
"""

JITTER = 1e-8
"""Variance that keeps the Cholesky factor in existence for two observations of one point."""

UNDIVIDED = 4 * 65536
"""Number of multiplications up to which OpenBLAS uses one thread (SMP_THRESHOLD_MIN * GEMM_MULTITHREAD_THRESHOLD)."""

SLICE = 256
"""Number of points that are predicted at once: their covariances with 90 values stay in the cache of one core."""

SMALLEST_VARIANCE = 1e-12
"""Smallest variance of a prediction; rounding may make a variance negative."""


def log_likelihoods(thetas: Floats, x: Floats, y: Floats, noise: Floats) -> Floats:
    """Returns the log-likelihood of `y` at `x` under each of `thetas`, up to a constant: shape [len(thetas)].

    `x` has the shape [values, features]; `noise` holds variances. The last row of the Cholesky factor of [[K, y], [y',
    c]] is L^-1 y, all that the likelihood takes from a solution (Rasmussen & Williams, 2006, algorithm 2.1, for all
    sets at once). `c` must exceed y' K^-1 y, which the smallest eigenvalue bounds.
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


@dataclass(slots=True, kw_only=True)
class Prediction:
    """Prediction of each point by one set of hyperparameters, given the values so far."""

    mean: Floats
    """Mean of each point, shape [points]."""
    variance: Floats
    """Variance of each point, shape [points]."""
    fitted: Floats
    """Mean at each value that the process was fitted to."""
    half: Floats
    """Factor of what the values explain: `half @ half.T` is taken from the covariance, shape [points, values]."""

    def believe(self, theta: Floats, points: Floats, i: int, noise: float) -> None:
        """Takes the mean of point `i` for its value, known with the variance `noise`: all variances shrink.

        `points` are the features, shape [points, features]. The means stay, since the value is as expected.
        """
        covariance = kernel(theta, points, points[i : i + 1])[:, 0] - self.half @ self.half[i]
        covariance[i] += math.exp(2.0 * theta[1])
        column = covariance / math.sqrt(max(covariance[i], SMALLEST_VARIANCE) + noise)
        self.half = np.column_stack([self.half, column])
        self.variance = np.maximum(self.variance - column**2, SMALLEST_VARIANCE)

    @property
    def sd(self) -> Floats:
        """Standard deviation of each point, shape [points]."""
        return np.sqrt(self.variance)


def predict(theta: Floats, x: Floats, y: Floats, noise: Floats, points: Floats) -> Prediction:
    """Returns what is predicted of each of `points`.

    `y` are values at `x`, with variances `noise`. The formulas are those of Rasmussen & Williams, 2006, algorithm 2.1.
    """
    unit = np.eye(len(y))
    rugged = math.exp(2.0 * theta[1])
    own = kernel(theta, x, x) + rugged * unit
    inverse = np.linalg.solve(np.linalg.cholesky(own + np.diag(noise + JITTER)), unit)
    alpha = inverse.T @ (inverse @ y)
    mean, half = np.empty(len(points)), np.empty((len(points), len(y)))
    for i in range(0, len(points), SLICE):
        cross = kernel(theta, points[i : i + SLICE], x)
        half[i : i + SLICE] = _product(cross, inverse.T)
        mean[i : i + SLICE] = cross @ alpha
    variance = math.exp(2.0 * theta[0]) + rugged - np.einsum("ij,ij->i", half, half)
    return Prediction(mean=mean, variance=np.maximum(variance, SMALLEST_VARIANCE), fitted=own @ alpha, half=half)


def likeliest(
    x: Floats, y: Floats, noise: Floats, *, rng: np.random.Generator, last: Floats | None
) -> list[tuple[float, Floats, float]]:
    """Returns (weight, theta, center of the values) of the likeliest of `DRAWS` drawn sets, the likeliest first.

    The weights sum to 1. `last` is the likeliest set of the fit before, if any.
    """
    center = float(np.average(y, weights=1.0 / (noise + np.var(y) + 1e-12)))
    signal = max(SMALLEST_SIGNAL, float(np.std(y)))
    thetas = _draw(rng, x.shape[1], signal, last)
    scores = log_likelihoods(thetas, x, y - center, noise) + _log_priors(thetas, signal)
    order = np.argsort(scores)[::-1][: KEPT if len(y) <= FEW else KEPT_OF_MANY]
    weights = np.exp(scores[order] - scores[order[0]])
    shares = (weights / weights.sum()).tolist()
    return [(share, theta, center) for share, theta in zip(shares, thetas[order], strict=True)]


def kernel(theta: Floats, a: Floats, b: Floats) -> Floats:
    """Returns the covariance of points `a` and `b`, shape [len(a), len(b)], without the rugged part.

    Squared distances are composed from products of matrices, which take a tenth of the time for thousands of points.
    """
    scale = math.sqrt(5.0) * np.exp(-theta[2:])
    ours, theirs = a * scale, b * scale
    squares = (ours * ours).sum(axis=1)[:, None] + (theirs * theirs).sum(axis=1) - 2.0 * _product(ours, theirs.T)
    return np.asarray(math.exp(2.0 * theta[0]) * _matern(np.sqrt(np.maximum(squares, 0.0))))


def _matern(distance: Floats) -> Floats:
    """Returns the Matern 5/2 covariance at sqrt(5) times a distance in length scales (Rasmussen & Williams, 4.2.1)."""
    return np.asarray((1.0 + distance * (1.0 + distance / 3.0)) * np.exp(-distance))


def _product(a: Floats, b: Floats) -> Floats:
    """Returns `a @ b`, computed in slices that OpenBLAS does not divide among threads.

    The threads of OpenBLAS wait for each other in a busy loop: on a loaded host these took four times as long as one.
    """
    found = np.empty((len(a), b.shape[1]))
    rows = max(1, UNDIVIDED // b.size)
    for i in range(0, len(a), rows):
        np.matmul(a[i : i + rows], b, out=found[i : i + rows])
    return found


def _draw(rng: np.random.Generator, dimensions: int, signal: float, last: Floats | None) -> Floats:
    """Returns sets of hyperparameters, shape [DRAWS, 2 + dimensions]; the first is `last`, or the prior's median."""
    center = np.array([math.log(signal), math.log(RUGGED_SD), *[math.log(LENGTH_MEDIAN)] * dimensions])
    spread = np.array([SIGNAL_SPREAD, RUGGED_SPREAD, *[LENGTH_SPREAD] * dimensions])
    fresh = center + spread * rng.standard_normal((DRAWS, 2 + dimensions))
    if last is None:
        fresh[0] = center
        return fresh
    near = last + NEAR_SPREAD * rng.standard_normal((DRAWS // 2, 2 + dimensions))
    near[0] = last
    return np.concatenate([near, fresh[DRAWS // 2 :]])


def _log_priors(thetas: Floats, signal: float) -> Floats:
    lengths = (thetas[:, 2:] - math.log(LENGTH_MEDIAN)) / LENGTH_SPREAD
    rugged = (thetas[:, 1] - math.log(RUGGED_SD)) / RUGGED_SPREAD
    levels = (thetas[:, 0] - math.log(signal)) / SIGNAL_SPREAD
    return np.asarray(-0.5 * ((lengths**2).sum(axis=1) + rugged**2 + levels**2))
