"""Flags that say in a command line what a study file says, and the wish that they make.

Responsible for words of the command line. Must not read a model or a file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from tuner.errors import InputError

Minimize = Annotated[str | None, typer.Option(metavar="METRIC", help="What is to be small: latency_p99_ms.")]
Maximize = Annotated[str | None, typer.Option(metavar="METRIC", help="What is to be large: throughput.")]
Limits = Annotated[list[str] | None, typer.Option("--limit", metavar="'METRIC<=NUMBER'", help="What must be kept.")]
Inputs = Annotated[list[str] | None, typer.Option("--input", metavar="'NAME=[1,3,48,192]'", help="One request.")]
Layouts = Annotated[list[str] | None, typer.Option("--layout", metavar="NAME=NCHW", help="N marks the batch.")]
Cpus = Annotated[float | None, typer.Option("--cpus", help="CPU quota of each replica.")]
Replicas = Annotated[int | None, typer.Option("--replicas", min=1, help="Processes that serve at the same time.")]
Rate = Annotated[float | None, typer.Option("--rate", help="Requests a second that arrive by themselves (Poisson).")]
Device = Annotated[str | None, typer.Option("--device", help="As OpenVINO names it.  [default: CPU]")]
Verbose = Annotated[bool | None, typer.Option("--verbose/--quiet", help="Print all that happens; only the verdict.")]
WarmStart = Annotated[
    Path | None, typer.Option("--warm-start", metavar="OLD/best.yaml", help="Try its configuration first.")
]
NoRecord = Annotated[
    bool, typer.Option("--no-record", help="Neither use what earlier studies found, nor keep what this one finds.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFlags:
    """Holds the flags as they were given, by the names of the parameters of a command."""

    minimize: str | None = None
    maximize: str | None = None
    limits: Sequence[str] | None = None
    inputs: Sequence[str] | None = None
    layouts: Sequence[str] | None = None
    cpus: float | None = None
    replicas: int | None = None
    rate: float | None = None
    device: str | None = None

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> StudyFlags:
        """Returns the flags among the parameters of a command."""
        return cls(**{field.name: parameters.get(field.name) for field in fields(cls)})

    @property
    def words(self) -> list[tuple[str, str]]:
        """The flags that were given and their values, as a command line has them."""
        singular = {"limits": "limit", "inputs": "input", "layouts": "layout"}
        named = [(f"--{singular.get(field.name, field.name)}", getattr(self, field.name)) for field in fields(self)]
        several = [(flag, given if isinstance(given, list | tuple) else [given]) for flag, given in named]
        return [(flag, str(one)) for flag, given in several for one in given if one is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenInput:
    """Holds what the flags say of one input."""

    shape: tuple[int, ...] | None = None
    layout: str | None = None


def given_inputs(flags: StudyFlags) -> dict[str, GivenInput]:
    """Returns what `--input` and `--layout` say by name; an empty name stands for the only input.

    Raises InputError.
    """
    found: dict[str, GivenInput] = {}
    for text in flags.inputs or ():
        name, shape = text.rpartition("=")[::2]
        found[name] = GivenInput(shape=_shape(shape, text))
    for text in flags.layouts or ():
        name, layout = text.rpartition("=")[::2]
        if not re.fullmatch(r"[A-Z?]+", layout) or any(layout.count(c) > 1 for c in set(layout) - {"?"}):
            advice = "one capital letter a dimension, each once, N for the batch: --layout x=NCHW"
            raise InputError(f"--layout {text!r} is no layout", advice=advice)
        found[name] = replace(found.get(name, GivenInput()), layout=layout)
    for name, one in found.items():
        if one.shape is not None and one.layout is not None and len(one.shape) != len(one.layout):
            raise InputError(
                f"input {name!r}: {len(one.shape)} dimensions in the shape, {len(one.layout)} letters in {one.layout}",
                advice="one letter a dimension, N for the batch",
            )
    return found


def _shape(text: str, whole: str) -> tuple[int, ...]:
    try:
        shape = json.loads(text if text.strip().startswith("[") else f"[{text}]")
    except ValueError:
        shape = None
    if isinstance(shape, list) and all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in shape):
        return tuple(shape)
    what = "still has a question mark" if "?" in text else "is no shape"
    raise InputError(f"--input {whole!r} {what}", advice="write whole numbers: --input 'x=[1,3,48,192]'")


def make_wish(flags: StudyFlags, recipe: str | None, minutes: float | None) -> Any:
    """Returns the wish of a recipe with the flags in their places, or that of the flags alone. Raises InputError."""
    from tuner.study.file.recipes import DEFAULT_RECIPE, RECIPES

    if recipe is not None and recipe not in RECIPES:
        from tuner.study.file.problems import unknown

        raise InputError(unknown("recipe", recipe, list(RECIPES)), advice="`tuner init --list` says what each one asks")
    metrics = _metrics(flags)
    if recipe is not None and metrics:
        raise InputError(
            f"the recipe {recipe} says what is better, and so does --{'minimize' if flags.minimize else 'maximize'}",
            advice="take one of the two out; --limit, --rate and --minutes go with a recipe",
        )
    wish = RECIPES[recipe or DEFAULT_RECIPE].wish
    if recipe is None and (metrics or flags.rate is not None):
        wish = replace(wish, metrics=metrics or ("latency_p99_ms",))
    if flags.rate is not None or "max_rate_per_s" in metrics:
        wish = replace(wish, pattern=wish.pattern or "poisson", rate_per_s=_rate(flags, wish.metrics))
    if minutes is not None:
        wish = replace(wish, minutes=minutes)
    return _within(wish, flags)


def _metrics(flags: StudyFlags) -> tuple[str, ...]:
    """Returns the metrics of --maximize and --minimize. Raises InputError for one in the wrong direction."""
    from tuner.bench.metrics import METRICS
    from tuner.study.file.problems import unknown

    metrics = []
    for flag, name in (("maximize", flags.maximize), ("minimize", flags.minimize)):
        if name is None:
            continue
        if name not in METRICS:
            raise InputError(f"--{flag}: {unknown('metric', name, list(METRICS))}")
        right = "maximize" if METRICS[name].is_higher_better else "minimize"
        if flag != right:
            better = "higher" if METRICS[name].is_higher_better else "lower"
            raise InputError(f"{name} is better when {better}", advice=f"write --{right} {name}")
        metrics.append(name)
    return tuple(metrics)


def _rate(flags: StudyFlags, metrics: Sequence[str]) -> float | None:
    if "max_rate_per_s" in metrics:
        if flags.rate is not None:
            raise InputError(
                "max_rate_per_s looks for the largest rate, and --rate fixes it",
                advice="take --rate out, or minimize a latency at that rate: --minimize latency_p99_ms",
            )
        return None
    if flags.rate is None or not 0 < flags.rate < float("inf"):
        raise InputError(
            f"--rate {flags.rate}: no requests arrive", advice="give requests a second, such as --rate 120"
        )
    if len(metrics) > 1:
        raise InputError("several objectives go without --rate", advice="take --rate out, or one of the objectives")
    if "throughput" in metrics:
        raise InputError(
            f"at {flags.rate:g} requests a second the throughput is {flags.rate:g}: there is nothing to maximize",
            advice="minimize a latency or cpu_ms_per_sample at that rate, or take --rate out",
        )
    return flags.rate


def _within(wish: Any, flags: StudyFlags) -> Any:
    """Returns the wish with the limits of the flags. Raises InputError for one that contradicts or cannot be kept."""
    from tuner.bench.metrics import METRICS
    from tuner.deploy.front_file import parse_bound
    from tuner.study.file.recipes import WantedLimit

    bounds = [parse_bound(text, list(METRICS), flag="--limit") for text in flags.limits or ()]
    for bound in bounds:
        row = METRICS[bound.metric]
        if row.is_higher_better == bound.is_upper:
            asks, better = ("at most", "higher") if bound.is_upper else ("at least", "lower")
            is_wanted = bound.metric in wish.metrics
            told = f"the study wants it {better}" if is_wanted else f"it is better when {better}"
            turned = f"{bound.metric}{'>=' if bound.is_upper else '<='}{bound.value:g}"
            raise InputError(
                f"--limit asks for {asks} {bound.value:g} of {bound.metric}, but {told}: "
                "a limit keeps a metric from getting worse",
                advice=f"write --limit '{turned}', or take it out",
            )
        if bound.value <= 0:
            raise InputError(f"--limit '{bound}': nothing keeps it", advice="a bound is larger than 0")
        if bound.metric in ("backlog_pct", "load_pct") and wish.pattern is None:
            raise InputError(f"{bound.metric} is about requests that arrive", advice="say at which rate: --rate 120")
    if bounds:
        given = {bound.metric: bound for bound in bounds}
        kept = [limit for limit in wish.limits if limit.metric not in given]
        new = [
            WantedLimit(metric=b.metric, bound="max" if b.is_upper else "min", value=b.value) for b in given.values()
        ]
        wish = replace(wish, limits=(*kept, *new))
    if "max_rate_per_s" in wish.metrics and not wish.limits:
        raise InputError(
            "max_rate_per_s is the largest rate that keeps a limit, and there is none",
            advice="give one: --limit 'latency_p95_ms<=50'",
        )
    is_example = wish.example and not (wish.example == "the limit" and bounds) and flags.rate is None
    return wish if is_example else replace(wish, example="")
