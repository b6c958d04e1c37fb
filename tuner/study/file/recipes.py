"""Recipes: questions that people ask about a deployment, by name, each as the wish that a study file states.

Responsible for the questions and their usual numbers. Must not write a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Bound = Literal["min", "max"]
Pattern = Literal["poisson", "constant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedLimit:
    """States a bound of one metric in the metric's unit."""

    metric: str
    bound: Bound
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """States what a study is to find."""

    metrics: tuple[str, ...]
    """Names of the metrics to improve; more than one ends with a front."""
    limits: tuple[WantedLimit, ...] = ()
    pattern: Pattern | None = None
    """Pattern of requests that arrive by themselves; None for the closed loop."""
    rate_per_s: float | None = None
    """Number of arriving requests a second; None with a pattern looks for the largest."""
    minutes: float = 5
    """Budget in minutes: the examples of configs/README.md end in it with a verdict on small models."""
    example: str = ""
    """Names the numbers that stand for the user's own: "the limit", "the rate"; empty if there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Describes a wish that has a name."""

    about: str
    """One line on the question that it asks."""
    wish: Wish


DEFAULT_RECIPE = "max-throughput"

RECIPES = {
    "max-throughput": Recipe(
        about="as many samples a second as possible, whatever one request takes",
        wish=Wish(metrics=("throughput",)),
    ),
    "throughput-under-p99": Recipe(
        about="as many samples a second as possible, while 99 of 100 requests end in time",
        wish=Wish(
            metrics=("throughput",),
            limits=(WantedLimit(metric="latency_p99_ms", bound="max", value=20),),
            example="the limit",
        ),
    ),
    "lowest-latency": Recipe(
        about="the shortest answer for one caller that waits for it",
        wish=Wish(metrics=("latency_p50_ms",)),
    ),
    "max-rate-under-p95": Recipe(
        about="how many requests a second may arrive before one in twenty takes too long",
        wish=Wish(
            metrics=("max_rate_per_s",),
            limits=(WantedLimit(metric="latency_p95_ms", bound="max", value=50),),
            pattern="poisson",
            minutes=10,
            example="the limit",
        ),
    ),
    "p99-at-rate": Recipe(
        about="the shortest p99 for requests that arrive at a given rate, independent of each other",
        wish=Wish(metrics=("latency_p99_ms",), pattern="poisson", rate_per_s=30, minutes=8, example="the rate"),
    ),
    "least-cpu-at-rate": Recipe(
        about="as little CPU time a sample as possible, for evenly spaced requests such as a camera's",
        wish=Wish(metrics=("cpu_ms_per_sample",), pattern="constant", rate_per_s=30, example="the rate"),
    ),
    "quickest-start": Recipe(
        about="as little time as possible from the model's file to a request that can be started",
        wish=Wish(metrics=("load_ms",)),
    ),
    "front": Recipe(
        about="throughput against latency: every point that no other one beats",
        wish=Wish(metrics=("throughput", "latency_p90_ms")),
    ),
}
"""Recipes by name, in the order of the list that a user reads."""
