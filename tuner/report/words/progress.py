"""The sentences for what happens in a run.

Responsible for words: one function for each event. Must not decide or compute results.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from tuner.bench.metrics import METRICS
from tuner.bench.model_behaviour import StateKept, TimeDependsOnData
from tuner.bench.turn import FEWEST_CYCLES
from tuner.phases.host_events import HostBusy, HostPaused, HostResumed, PauseCause, PauseGoesOn
from tuner.phases.progress import (
    AnswersMayChange,
    AuditRead,
    BaselinesListed,
    BaselinesMeasured,
    CallersStated,
    CandidateRejected,
    ClaimOutOfReach,
    ConfirmationRead,
    DeploymentNote,
    Event,
    PageNotWritten,
    SearchEnded,
    SpaceEnumerated,
    SpaceTooLarge,
    StudyBegins,
    StudyFileWritten,
    StudyFinished,
    StudyResumed,
    TornLineDropped,
    WarmStarted,
)
from tuner.planning.budget import CONFIRM_SHARE_AT_MOST, StudyPlan
from tuner.planning.description import NoiseSource, Planned
from tuner.planning.slow_model import SlowModel
from tuner.records.locks import WaitingForHolder
from tuner.report.words.configuration import baseline_name, name_by, short_name
from tuner.report.words.gain import amount_words, metric_name
from tuner.report.words.host import host_words, warning
from tuner.report.words.limits import out_of_reach_words, provable_limit_words
from tuner.report.words.model import data_line, state_lines
from tuner.report.words.opening import opening_lines
from tuner.report.words.record import RECORD_WORDS
from tuner.report.words.space import enumeration_lines, given_up_line
from tuner.report.words.text import callers_phrase
from tuner.search.database.events import ASIDE, DatabaseGivenUp, DatabaseLocked, DatabaseRenewed
from tuner.search.enumeration import ListingGivenUp
from tuner.search.search_space import BatchLeavesSpace
from tuner.search.strategies import EndReason, SearchEnd
from tuner.statistics.sequential_test import gain_pct

NOISY_WINDOW_SD = 0.15
"""Standard deviation of windows (log-ratio) above which they differ by more than most gains worth having."""

FEW_TRIALS, FEW_SHARE = 12, 0.5
"""Number of candidates, and share of the space, below which the budget ended the search, not the search itself."""


def event_lines(event: Event) -> list[str]:
    """Returns what a user is told of an event, in lines."""
    return _WORDS[type(event)](event)


def percent(log_ratio: float) -> str:
    """Returns a log-ratio as per cent with its sign."""
    return f"{100 * math.expm1(log_ratio):+.1f} %"


def _resumed(event: StudyResumed) -> list[str]:
    left = "no limit of time" if event.remaining_s is None else f"{max(0.0, event.remaining_s):.0f} s left"
    return [f"resuming: {event.sessions} sessions on record, phase {event.phase}, {left}"]


def _baselines(event: BaselinesMeasured) -> list[str]:
    equal = {name: names for names in event.same for name in names}
    groups = {tuple(equal.get(name, [name])): name for name in event.gains}
    others = [
        f"{' = '.join(group)} {amount_words(event.metric, event.gains[name])}{_beyond(event.violated.get(name, ()))}"
        for group, name in groups.items()
        if event.reference not in group
    ]
    beside = f"; beside it {metric_name(event.metric)} of {', '.join(others)}" if others else ""
    lines = [f"reference: {' = '.join(equal.get(event.reference, [event.reference]))}{beside}"]
    if not event.is_feasible:
        lines.append("no baseline keeps the limits: candidates are compared with the nearest, and no gain is claimed")
    lines += [f"one configuration here under several names: {', '.join(names)}" for names in event.same]
    lines += [f"baseline {name} failed: {failure}" for name, failure in event.failures.items()]
    if event.unsteady:
        lines.append(f"not steady after 5 s of warm-up: {', '.join(event.unsteady)}")
    noise = f"noise: neighbouring windows differ by {100 * event.window_sd:.1f} % (sd)"
    warned = warning(event.host.load, when="while the baselines were measured")
    if event.window_sd > NOISY_WINDOW_SD and not warned:
        noise += ": this host is noisy; a longer budget proves smaller gains"
    return [*lines, noise, *host_words(event.host), *filter(None, [warned])]


def _beyond(violated: Any) -> str:
    """Returns why a baseline that is better than the reference is not the reference."""
    return f" (beyond the limit of {', '.join(violated)})" if violated else ""


def _planned(event: Planned) -> list[str]:
    plan, known = event.plan, event.has_baselines
    search = "until the trials are done" if plan.search_s is None else f"{plan.search_s:.0f} s"
    sessions = f"at most {plan.max_sessions} sessions{f' of {plan.pairs} pairs' if known else ''}"
    begin = "plan: baselines and calibration" if known else "plan, before the baselines have run: baselines"
    return [
        f"{begin} {plan.baselines_s:.0f} s, search {search}, final {plan.final_s:.0f} s, "
        f"confirmation {plan.confirm_s:.0f} s ({sessions})",
        *_provable(event),
        *_longer(event),
        *map(provable_limit_words, event.limits),
        *plan_lines(plan),
    ]


def plan_lines(plan: StudyPlan) -> list[str]:
    """Returns what is unusual about a plan, in lines."""
    lines = []
    if plan.is_short:
        lines.append(
            f"the budget is short: confirmation sessions have {plan.pairs} pairs of {plan.window_s:g} s windows"
        )
    if plan.overrun_s > 0.0 and plan.total_s is not None:
        longer = f": the study takes about {plan.overrun_s:.0f} s longer" if plan.overrun_s >= 1.0 else ""
        lines.append(
            f"{plan.max_sessions} confirmation sessions take {plan.confirm_s:.0f} s, which is more than "
            f"{100 * CONFIRM_SHARE_AT_MOST:.0f} % of {plan.total_s:.0f} s{longer}"
        )
    if plan.is_final_smaller:
        lines.append("windows and compiles are slow on this model: the final is smaller than the budget would have it")
    return lines


def _provable(event: Planned) -> list[str]:
    """Returns the noise, and the smallest gain that is proved under it."""
    gain = f"a gain of {event.provable_gain_pct:.1f} % or more"
    if not event.has_baselines:
        is_known = event.noise is NoiseSource.KNOWN
        noise = "the noise that an earlier study of today found" if is_known else "the usual noise"
        later = ["what can be proved of percentiles and limits is known once the baselines have run"]
        return [f"provable with {noise} ({100 * event.session_sd:.1f} %): {gain}", *(later if event.is_open else ())]
    is_usual = event.noise is NoiseSource.USUAL
    usual = " (the usual noise: this budget has no time to find out)" if is_usual else ""
    within = "" if event.minutes is None else f", in {event.minutes:g} min"
    return [
        f"sessions of a configuration against itself differ by {100 * event.session_sd:.1f} % here{usual}",
        f"provable on this machine{within}: {gain}",
    ]


def _longer(event: Planned) -> list[str]:
    if not event.percentile:
        return []
    row = METRICS[event.percentile]
    need = f"a claim about {row.name} needs {row.min_requests} requests"
    return [f"{need}: sessions have {event.plan.pairs} pairs of windows for them"]


def end_words(end: SearchEnd) -> str:
    """Returns why a search ended."""
    count = "" if end.trials is None else f"{end.trials} "
    return f"{count}{_ENDS[end.reason]}{f': {end.cause}' if end.cause else ''}"


def _search_ended(event: SearchEnded) -> list[str]:
    words = f"search ended: {end_words(event.end)}"
    remedy = _MORE.get(event.end.reason)
    if remedy and event.distinct is not None and event.tried < min(FEW_TRIALS, FEW_SHARE * event.distinct):
        words += f"; only {event.tried} of {event.distinct} configurations were tried: {remedy}"
    return [words]


def _audit(event: AuditRead) -> list[str]:
    words = f"audit: two requests for one effective configuration differ by {gain_pct(event.gain):+.1f} %"
    if not event.is_suspicious:
        return [words]
    one, other = (short_name(config, among=event.configurations) for config in event.configurations)
    return [f"warning: {words}, more than noise: the device may not report all that matters ({one} and {other})"]


def _confirmation(event: ConfirmationRead) -> list[str]:
    warned = warning(event.host.load, when="while the winner was confirmed", beyond=event.known)
    return [*host_words(event.host), *filter(None, [warned])]


def _rejected(event: CandidateRejected) -> list[str]:
    return [f"turned down: {event.detail}; the runner-up is {name_by(event.following, event.differing)}"]


def _paused(event: HostPaused) -> list[str]:
    if event.cause is PauseCause.OTHER:
        return [
            f"paused: other processes use {event.load.other_cpu_pct:.0f} % of the CPUs; waiting up to "
            f"{event.limit_s:.0f} s for them to calm"
        ]
    is_steal = event.cause is PauseCause.STEAL
    guests = f"the hypervisor gives {event.load.steal_pct:.0f} % of the CPUs to other guests"
    return [f"paused: {guests if is_steal else 'the CPUs were slowed down by heat'}; waiting {event.limit_s:.0f} s"]


def _resumed_host(event: HostResumed) -> list[str]:
    waited = f"after {event.waited_s:.0f} s"
    if event.cause is not PauseCause.OTHER:
        return [f"measuring goes on {waited}"]
    if event.is_calm:
        return [f"calm again {waited}: measuring goes on"]
    return [f"still busy {waited}: measuring goes on, results are noisier"]


def _listed(event: BaselinesListed) -> list[str]:
    return [f"baselines: {'; '.join(baseline_name(name, config) for name, config in event.baselines.items())}"]


_ENDS: Mapping[EndReason, str] = {
    EndReason.ALL_FAILED: "every configuration failed",
    EndReason.TRIALS_DONE: "trials done",
    EndReason.TIME_USED: "the time for the search is used up",
    EndReason.ALL_MEASURED: "every distinct configuration has been measured",
    EndReason.TOO_SLOW: "what is left is too slow for a window of this budget",
    EndReason.NOTHING_BETTER: "no configuration is expected to be better than the best found",
    EndReason.BEST_UNSURE: "to separate the best so far is worth more than to try others",
    EndReason.NOTHING_NEW: "the sampler finds nothing that is not known",
}
"""Reason for the end of a search -> its words."""

_MORE: Mapping[EndReason, str] = {
    EndReason.TIME_USED: "a longer budget tries more",
    EndReason.TRIALS_DONE: "more trials try more",
}
"""Reason for an end that leaves configurations untried -> what tries them; the other reasons say it all."""


def _slow_model(event: SlowModel) -> list[str]:
    takes = (
        f"warning: an inference takes {event.inference_s:.2g} s, so that a window, {FEWEST_CYCLES} of each request, "
        f"takes {event.window_s:.2g} s"
    )
    if event.is_beyond_any_budget:
        return [
            f"{takes}, and the longest one is {event.longest_window_s:g} s: no budget compares this model as it is; "
            "give a smaller shape, or a share of the work"
        ]
    count = event.candidates
    can = "hardly the baselines alone" if count is None else f"the baselines and {count} other configurations"
    return [
        f"{takes}: the baselines take {_duration(event.baselines_s)}, a confirmation {_duration(event.confirm_s)}; "
        f"{event.minutes:g} min compare {can}; `budget: {{minutes: {event.needed_min}}}` could confirm a winner"
    ]


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def _batch_leaves(event: BatchLeavesSpace) -> list[str]:
    reason = "requests arrive by themselves, each of them one sample" if event.reason is None else event.reason
    return [f"batch_size leaves the space: {reason}"]


def _database_renewed(event: DatabaseRenewed) -> list[str]:
    name = event.path.name
    if not event.cause:
        return [f"{name} was missing: it is written again from sessions.jsonl"]
    return [
        f"{name} cannot be used ({event.cause}): it is moved to {name}{ASIDE} and written again from sessions.jsonl"
    ]


def _database_given_up(event: DatabaseGivenUp) -> list[str]:
    return [
        f"warning: {event.path} cannot be written ({event.cause}): the study goes on without it, and the next run "
        "writes it again from sessions.jsonl"
    ]


def _warm_start_words(event: WarmStarted) -> str:
    words = f"warm start: what {event.source} deploys is tried first, as a suggestion that is measured like any other"
    if event.differing:
        words += f"; this space has other values of {', '.join(event.differing)}"
    return f"{words}; it was tuned for another model" if event.is_other_model else words


_WORDS: Mapping[type, Callable[[Any], list[str]]] = {
    StudyBegins: opening_lines,
    StateKept: state_lines,
    TimeDependsOnData: lambda event: [data_line(event)],
    DeploymentNote: lambda event: [event.text],
    PageNotWritten: lambda event: [
        f"warning: report.html could not be written: {event.cause}; `tuner report {event.folder}` tries again"
    ],
    AnswersMayChange: lambda event: [
        f"warning: {event.parameter} is in the space: its values change what the model answers, not only how fast;"
        " nothing here checks the answers"
    ],
    StudyFileWritten: lambda event: [f"the study file is {event.path}"],
    TornLineDropped: lambda _: ["the last line of sessions.jsonl was torn by an interruption and is dropped"],
    WarmStarted: lambda event: [_warm_start_words(event)],
    WaitingForHolder: lambda event: [f"waiting for {event.holder}"],
    SlowModel: _slow_model,
    BatchLeavesSpace: _batch_leaves,
    DatabaseRenewed: _database_renewed,
    DatabaseLocked: lambda event: [
        f"{event.path} is locked by another program: the study goes on, and its trials are written once it is free"
    ],
    DatabaseGivenUp: _database_given_up,
    StudyFinished: lambda _: ["finished before: its verdict stands, and a larger budget searches on"],
    StudyResumed: _resumed,
    BaselinesListed: _listed,
    BaselinesMeasured: _baselines,
    Planned: _planned,
    CallersStated: lambda event: [f"load: {callers_phrase(event.callers)}"],
    ClaimOutOfReach: lambda event: [f"warning: {out_of_reach_words(event.claim)}"],
    SpaceEnumerated: lambda event: enumeration_lines(event.enumeration),
    ListingGivenUp: lambda event: [given_up_line(event)],
    SpaceTooLarge: lambda event: [f"the space is too large to list, which {event.sampler} needs: it is sampled by TPE"],
    SearchEnded: _search_ended,
    AuditRead: _audit,
    ConfirmationRead: _confirmation,
    CandidateRejected: _rejected,
    HostPaused: _paused,
    PauseGoesOn: lambda _: [],
    HostResumed: _resumed_host,
    HostBusy: lambda event: [warning(event.load, when="just now")],
    **RECORD_WORDS,
}
"""Event -> what is told of it."""
