"""The answer of a study for a person: what to deploy, what that changes, and how sure that is.

Responsible for words about a best.yaml, one of an older version too. Must not know sessions or windows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tuner.bench.metrics import METRICS
from tuner.deploy.best import Answer, Best, BestBaseline, BestConstraint, BestGain
from tuner.report.words.gain import Gain, change_words, excess_words, gain_words, metric_name, number
from tuner.report.words.text import printable
from tuner.statistics.limits import Bound, BoundKind

HINTS = ("LATENCY", "THROUGHPUT")
"""Names of the baselines that are a performance hint and nothing else."""

BOUND_WORDS: Mapping[BoundKind, str] = {
    "max": "at most {limit} {unit}",
    "min": "at least {limit} {unit}",
    "max_ratio": "at most {limit} times the best baseline's",
    "min_ratio": "at least {limit} times the best baseline's",
}
"""Kind of a bound -> its words."""


def answer_of(best: Best) -> Answer | None:
    """Returns what to do; for an older file it follows from the verdict and the reference. None without an answer."""
    if best.answer is not None or best.today is not None or best.broken:
        return best.answer
    if best.verdict == "tuned":
        return "settings"
    return "nothing" if best.baseline.name in ("today", "default") else "hint"


def headline(best: Best) -> str:
    """Returns what to deploy and what that changes against what runs today, in one sentence."""
    answer = answer_of(best)
    if answer is None:
        if best.broken:
            return "no answer: no configuration that was tried keeps the limits"
        return f"no answer: no configuration of the space could be measured; {printable(_today_name(best))} stays"
    if answer == "nothing":
        return f"change nothing: {printable(_today_name(best))} stays"
    what = "use these settings" if answer == "settings" else f"use {baseline_words(best.baseline.name)}"
    if best.objectives:
        return f"{what}, the knee of the front"
    if best.today is not None and best.today_gain is not None:
        return f"{what}: {_change(best, best.today, best.today_gain)} than with {_run_today(best.today.name)}"
    if best.gain is not None:
        return f"{what}: {_change(best, best.baseline, best.gain)} than with {printable(best.baseline.name)}"
    return f"{what}; no gain is claimed"


def evidence_lines(best: Best) -> list[str]:
    """Returns the gains with what they rest on: over today's baseline, then over the strongest one."""
    lines = []
    metric = best.objective.metric
    if best.today is not None and best.today_gain is not None:
        lines.append(f"against {_run_today(best.today.name)}: {_proof_words(metric, best.today_gain)}")
    if best.gain is not None and (best.today is None or best.today.name != best.baseline.name):
        strongest = f"{printable(best.baseline.name)}, the strongest baseline"
        lines.append(f"against {strongest}: {_proof_words(metric, best.gain)}")
    strongest_gain = best.baseline_gains.get(best.baseline.name)
    if answer_of(best) == "nothing" and best.today is not None and strongest_gain is not None:
        what = f"{printable(best.baseline.name)}, the strongest baseline, against {_run_today(best.today.name)}"
        lines.append(f"{what}: {_proof_words(metric, strongest_gain)}")
    return lines


def limit_phrase(constraint: BestConstraint) -> str:
    """Returns a limit and how sure it is: proved, kept as measured, or broken by how much."""
    return "; ".join(f"{bound_words(bound)}: {_kept_words(constraint, bound)}" for bound in _bounds(constraint))


def bound_words(bound: Bound) -> str:
    """Returns a bound, such as `p99 at most 20 ms`."""
    row = METRICS.get(bound.metric)
    words = BOUND_WORDS[bound.kind].format(limit=f"{bound.limit:g}", unit="" if row is None else row.unit)
    return f"{metric_name(bound.metric)} {words}".rstrip()


def beyond_words(violations: Mapping[str, float]) -> str:
    """Returns the limits that a configuration exceeds, each with how far; empty if it keeps all.

    `violations` are metric -> log of the excess.
    """
    found = [(metric, excess) for metric, excess in violations.items() if excess > 0.0]
    return ", ".join(
        f"{metric_name(metric)} not measured"
        if math.isinf(excess)
        else f"{metric_name(metric)} beyond its limit by {excess_words(excess)}"
        for metric, excess in found
    )


def validity_words(best: Best) -> str:
    """Returns what the answer is valid for: how requests come, and under which conditions of the host."""
    return ", ".join(["for " + _requests_words(best), *condition_words(best.deployment)])


def condition_words(deployment: Mapping[str, Any]) -> list[str]:
    """Returns the stated conditions of a deployment, as best.yaml has them, in words."""
    words = []
    if (cpus := deployment.get("cpus")) is not None:
        words.append(f"under a quota of {cpus:g} CPU{'' if cpus == 1 else 's'}")
    if (cpuset := deployment.get("cpuset")) is not None:
        words.append(f"on the CPUs {printable(str(cpuset))}")
    if (memory := deployment.get("memory_bytes")) is not None:
        words.append(f"within {memory / 2**20:.0f} MiB of memory")
    if (replicas := deployment.get("replicas")) is not None:
        words.append(f"with {replicas} replicas on this host")
    if (background := deployment.get("background")) is not None:
        words.append(f"beside this load: {printable(str(background))}")
    return words


def callers_words(best: Best) -> str:
    """Returns what to do where a service has more callers than the answer is valid for; empty if nothing follows."""
    if best.arrivals is not None:
        return ""
    if best.api == "sync":
        return (
            "more callers: let them take turns (a lock, or the queue of `tuner apply`), "
            "or run another study with `load:` or `maximize: throughput`"
        )
    return "more callers: they wait in the queue of `tuner apply`; a study with `load:` measures that wait"


def baseline_words(name: str) -> str:
    """Returns a baseline as something to use: a hint, the defaults, or one of the study file."""
    if name in HINTS:
        return f"the hint {name}"
    return "the defaults, no property set" if name == "default" else f"the baseline {printable(name)}"


def next_words(best: Best, folder: str) -> str:
    """Returns what to do next with a study's results in a folder."""
    answer = answer_of(best)
    if answer is None:
        widen = "relax a limit, or give it a wider space or a longer budget"
        return widen if best.broken else f"mend `space:`; `tuner show {folder}` has every failure"
    if answer == "nothing":
        return "keep what runs; a larger budget, or a calmer host, proves smaller gains"
    return f"tuner apply {folder}/best.yaml"


def _change(best: Best, before: BestBaseline, gain: BestGain) -> str:
    return change_words(best.objective.metric, before.value, best.objective.value, Gain.of(gain))


def _proof_words(metric: str, gain: BestGain) -> str:
    return (
        f"{gain_words(metric, Gain.of(gain))}, confidence {100 * gain.confidence:.1f} %, "
        f"{gain.sessions} fresh sessions, {gain.pairs} pairs"
    )


def _today_name(best: Best) -> str:
    return best.today.name if best.today else best.baseline.name


def _run_today(name: str) -> str:
    """Returns the name of today's baseline, said to be that."""
    return "what runs today" if name == "today" else f"{printable(name)}, which runs today"


def _requests_words(best: Best) -> str:
    if best.arrivals is not None:
        pattern, rate = best.arrivals.pattern, best.arrivals.rate_per_s
        return f"{pattern} arrivals" if rate is None else f"{pattern} arrivals of {rate:g} requests/s"
    words = "one request at a time" if best.infer_requests == 1 else f"{best.infer_requests} requests in flight"
    return words if best.batch_size == 1 else f"{words}, each of {best.batch_size} samples"


def _bounds(constraint: BestConstraint) -> list[Bound]:
    given = asdict(constraint)
    return [
        Bound(metric=constraint.metric, kind=kind, limit=given[kind]) for kind in BOUND_WORDS if given[kind] is not None
    ]


def _kept_words(constraint: BestConstraint, bound: Bound) -> str:
    row = METRICS.get(bound.metric)
    what = f"{number(constraint.measured)} {'times' if bound.is_ratio else '' if row is None else row.unit}".strip()
    on = f" on {constraint.requests} requests" if constraint.requests else ""
    if not bound.keeps(constraint.measured):
        over = bound.excess_log(math.log(constraint.measured)) if constraint.measured > 0.0 else math.inf
        return f"broken by {excess_words(over)} ({what}{on})" if math.isfinite(over) else f"broken ({what}{on})"
    if constraint.proof == "proved":
        return f"proved ({what}{on})"
    # About later requests a maximum promises nothing.
    later = "; of those to come it promises nothing" if row is not None and row.is_maximum else ""
    return f"kept as measured{on} ({what}){later}"
