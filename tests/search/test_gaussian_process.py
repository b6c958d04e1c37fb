"""Tests of the Gaussian process against the formulas of the textbook."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tuner.search.gaussian_process import kernel, log_likelihoods


def test_the_likelihood_of_every_draw_is_what_the_textbook_says() -> None:
    rng = np.random.default_rng(5)
    x, y, noise = rng.random((7, 3)), rng.standard_normal(7), np.full(7, 0.01)
    thetas = rng.normal(-0.5, 0.5, (4, 5))
    found = log_likelihoods(thetas, x, y, noise)
    for theta, value in zip(thetas, found, strict=True):
        whole = kernel(theta, x, x) + np.diag(noise + math.exp(2.0 * theta[1]))
        expected = -0.5 * (y @ np.linalg.solve(whole, y) + np.linalg.slogdet(whole)[1])
        assert value == pytest.approx(float(expected), rel=1e-4)
