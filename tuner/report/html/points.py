"""The configurations of a study as points: short name, gain, metrics, and when they were measured.

Responsible for reading a StudyReport. Must not draw.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from tuner.bench.configuration import DeploymentConfig
from tuner.bench.measurement import Windows
from tuner.bench.metrics import METRICS
from tuner.deploy.best import Best
from tuner.evidence.candidates import SEARCHED, MetricValues
from tuner.evidence.pooled_metrics import metrics_of, pool
from tuner.outcome.study_report import StudyReport
from tuner.report.outcome import column_title, searched_parameters, winner_title
from tuner.report.words.answer import beyond_words
from tuner.report.words.configuration import deployed, name_by
from tuner.report.words.gain import Gain
from tuner.statistics.explained import explained_share
from tuner.statistics.session_effect import Estimate, mean_of

UNSET = "unset"
"""Value of a parameter that a configuration leaves to the device, in figures."""

SURE = 1.96
"""Standard errors on each side of a value that was measured and not confirmed: 95 % of a normal distribution."""

TITLES = {
    "PERFORMANCE_HINT": "hint",
    "NUM_STREAMS": "streams",
    "INFERENCE_NUM_THREADS": "threads in all",
    "ENABLE_CPU_PINNING": "pinning",
    "ENABLE_HYPER_THREADING": "hyper-threading",
    "SCHEDULING_CORE_TYPE": "type of cores",
    "INFERENCE_PRECISION_HINT": "precision",
    "batch_size": "batch size",
    "infer_requests": "requests in flight",
}
"""Parameter -> its title in a figure; any other parameter is its own title."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One distinct effective configuration that the search measured."""

    trial: int | None
    name: str
    config: DeploymentConfig
    value: float
    """Gain on the first objective against the reference, not confirmed: a log-ratio, positive is better."""
    sd: float
    """Standard error of `value`."""
    sessions: int
    beyond: str
    """Limits that the configuration exceeds, and by how much; empty if it keeps all."""
    metrics: MetricValues
    """Metrics over all windows of the search."""
    settings: Mapping[str, str | float]
    """Parameter of the search -> its value, as a figure shows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One configuration with the interval of its gain over the baseline of `zero_of`; log-ratios."""

    name: str
    estimate: float
    low: float
    high: float
    is_confirmed: bool
    """True if fresh sessions measured the interval; False for what was seen before the confirmation."""
    is_deployed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One configuration that the verdict compares, with its metrics."""

    title: str
    metrics: MetricValues
    name: str = ""
    """Short name of the configuration, if the title does not say it."""
    is_confirmed: bool = False
    """True if fresh sessions measured a candidate; False for baselines."""
    is_deployed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One parameter with at least two values among the configurations that were measured."""

    name: str
    title: str
    share: float | None
    """Share of the differences in gain that go with this parameter alone, 0 to 1; None for too few points."""


def points_of(report: StudyReport) -> list[Point]:
    """Returns the candidates that were measured, best first."""
    if report.reference is None:
        return []
    requests, found = report.state.evidence.requests, defaultdict[str, list[Windows]](list)
    for line in report.state.log.sessions(*SEARCHED):
        for (config, member), trial in zip(line.session.items(), line.trials, strict=True):
            if trial is not None and isinstance(member, Windows) and member.windows:
                found[requests[config].key].append(member)
    names = searched_parameters(report)
    return [
        Point(
            trial=c.trial,
            name=name_by(c.config, names),
            config=c.config,
            value=c.value,
            sd=c.sd,
            sessions=len(c.comparisons),
            beyond="" if c.is_feasible else beyond_words(c.excesses),
            metrics=metrics_of(pool(found[c.key])),
            settings={name: _shown(value) for name, value in (c.assignment or {}).items()},
        )
        for c in report.candidates
    ]


def zero_of(report: StudyReport) -> str:
    """Returns the name of the baseline that `bars_of` compares with: what runs today, if the verdict says so."""
    if report.best is not None and report.best.today is not None:
        return report.best.today.name
    return report.result.reference if report.result else report.reference.name if report.reference else ""


def bars_of(report: StudyReport) -> list[Bar]:
    """Returns what is deployed or was confirmed, then the baselines, the best first.

    Baselines that were confirmed beside today's have the intervals of that; others are as measured before.
    """
    zero, result, best = zero_of(report), report.result, report.best
    is_tuned = result is not None and result.is_tuned
    kept = "" if result is None or is_tuned else best.baseline.name if best else result.reference
    confirmed, bars = list[Bar](), list[Bar]()
    interval = result.confirmation.interval if result and result.confirmation else None
    if best is not None and best.today is not None:
        gains = {name: Gain.of(gain) for name, gain in best.baseline_gains.items()}
        if is_tuned and (gain := best.today_gain or best.gain) is not None:
            confirmed.append(_bar("tuned", Gain.of(gain), is_confirmed=True, is_deployed=True))
    else:
        gains = {}
        if interval is not None:
            name = "tuned" if is_tuned else "candidate"
            confirmed.append(_bar(name, Gain.of(interval), is_confirmed=True, is_deployed=is_tuned))
    for point in report.front.points if report.front else ():
        gain = point.best.gains.get(report.study.objective.metric)
        if gain is not None and point.name not in report.state.setup.baselines:
            is_knee = report.front is not None and point.name == report.front.knee
            confirmed.append(_bar(point.name, Gain.of(gain), is_confirmed=True, is_deployed=is_knee))
    measured = _baselines(report)
    offset = measured[zero].value if zero in measured else 0.0
    for name, one in measured.items():
        value, sd = one.value - offset, 0.0 if name == zero else SURE * one.sd
        before = Gain(estimate=value, low=value - sd, high=value + sd)
        is_confirmed = name in gains
        bars.append(_bar(name, gains.get(name, before), is_confirmed=is_confirmed, is_deployed=name == kept))
    return [*confirmed, *sorted(bars, key=lambda bar: -bar.estimate)]


def _bar(name: str, gain: Gain, *, is_confirmed: bool, is_deployed: bool) -> Bar:
    given = {"estimate": gain.estimate, "low": gain.low, "high": gain.high}
    return Bar(name=name, **given, is_confirmed=is_confirmed, is_deployed=is_deployed)


def settings_of(points: list[Point]) -> list[Setting]:
    """Returns the parameters with at least two values, those that explain the most first."""
    names = {name: None for point in points for name in point.settings}
    found = []
    for name in names:
        shown = [(str(p.settings[name]), p.value) for p in points if name in p.settings]
        if len({value for value, _ in shown}) > 1:
            share = explained_share([value for _, value in shown], [group for group, _ in shown])
            found.append(Setting(name=name, title=TITLES.get(name, name), share=share))
    return sorted(found, key=lambda setting: -1.0 if setting.share is None else setting.share, reverse=True)


def compared_of(report: StudyReport) -> list[Compared]:
    """Returns what was confirmed, then the baselines; before a verdict the baselines as first measured."""
    result, metrics = report.result, report.metrics
    if result is None or metrics is None:
        return [Compared(title=name, metrics=one) for name, one in report.baselines.items()]
    is_kept = not result.is_tuned and report.front is None
    reference = Compared(title=column_title(result.reference), metrics=metrics.reference, is_deployed=is_kept)
    found = [_front_point(report, name, one) for name, one in metrics.candidates.items()]
    if metrics.winner is not None:
        title, is_deployed = winner_title(result), result.is_tuned
        name = deployed_name(report, report.best) if report.best and is_deployed else ""
        found.append(
            Compared(title=title, metrics=metrics.winner, name=name, is_confirmed=True, is_deployed=is_deployed)
        )
    return [*found, reference, *(Compared(title=column_title(n), metrics=m) for n, m in metrics.baselines.items())]


def _front_point(report: StudyReport, title: str, metrics: MetricValues) -> Compared:
    """Returns a candidate of a front that was confirmed, on the front or removed from it."""
    front = report.front
    point = next((one for one in front.points if one.name == title), None) if front else None
    name = deployed_name(report, point.best) if point else "not on the front"
    is_knee = front is not None and front.knee == title
    return Compared(title=title, metrics=metrics, name=name, is_confirmed=True, is_deployed=is_knee)


def latency_shown(report: StudyReport) -> str:
    """Returns the latency that the study limits or minimizes; the 99th percentile if there is none."""
    objective = report.study.objective
    names = [limit.metric for limit in objective.limits] + list(objective.metrics)
    return next((name for name in names if METRICS[name].kind == "latency"), "latency_p99_ms")


def deployed_name(report: StudyReport, best: Best) -> str:
    """Returns the short name of the configuration that best.yaml deploys."""
    return name_by(deployed(best), searched_parameters(report))


def _baselines(report: StudyReport) -> dict[str, Estimate]:
    """Returns each baseline's gain over the reference, over all sessions before the confirmation that have both."""
    reference = report.reference
    if reference is None:
        return {}
    found = defaultdict[str, list[Estimate]](list)
    for line in report.state.log.sessions("baselines", "final"):
        ran = dict(line.session.ran())
        ours = ran.get(reference.configuration)
        for name, config in report.state.setup.baselines.items():
            if ours is None or not ours.windows or name == reference.name or config not in ran:
                continue
            comparison = reference.comparer.compare(ran[config], ours) if ran[config].windows else None
            if comparison is not None:
                found[name].append(Estimate(value=comparison.value, sd=comparison.sd))
    return {reference.name: Estimate(value=0.0, sd=0.0), **{name: mean_of(every) for name, every in found.items()}}


def _shown(value: object) -> str | float:
    """Returns a value of a parameter: numbers stay numbers, everything else is its text."""
    if value is None:
        return UNSET
    return value if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
