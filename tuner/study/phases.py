"""The order of the phases, from the baselines to the verdict. Runs on any Bench; what is on record is not done again.

Knows what follows what; each phase has its own module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tuner.bench.protocol import DeploymentConfig
from tuner.study.baseline_ranking import rank_baselines
from tuner.study.budget import BASELINES_SHARE, FRONT_MEMBERS, SD_FLOOR, StudyPlan
from tuner.study.calibration import ENOUGH_DF
from tuner.study.confirm import Confirmation, confirm, judge_round, open_confirmation, read_confirmation
from tuner.study.decision import SESSIONS, gain_log, gain_pct, share_of
from tuner.study.disturbance import count_disturbed, mean_load, windows_of
from tuner.study.evidence import Candidate
from tuner.study.explore import explore
from tuner.study.final import finalists, is_better, pick_winner, winner_of
from tuner.study.front_confirm import Front, baselines_alone, confirm_front, judge_front, open_front, read_front
from tuner.study.front_final import pick_points
from tuner.study.host_words import disturbed_words, late_words, warning
from tuner.study.listing import Listing, list_space
from tuner.study.power import smallest_provable_gain_pct
from tuner.study.records import CalibrationLine, VerdictLine
from tuner.study.refusal import check_reference, percentile_lines
from tuner.study.runner import SessionRunner
from tuner.study.search import Search
from tuner.study.session_plan import percentile_blocks, plan_session
from tuner.study.state import Reference, StudyState
from tuner.study.strategy import EndReason, SearchEnd
from tuner.study.study import Budget
from tuner.study.study_plan import study_plan
from tuner.study.trial_session import finished_trials
from tuner.study.windows import first_window_s

FINISHED = "finished before: its verdict stands, and a larger budget searches on"
BASELINE_BLOCKS = ((600.0, 8, 4), (300.0, 6, 2), (100.0, 6, 0), (0.0, 4, 0))
"""(from this budget in seconds, blocks of the baselines, sessions of the reference beside itself): a tenth of the
budget goes into both together (measurement.md)."""
CALIBRATION_PAIRS = 6
TURNED_DOWN = ("constraint", "unstable")
"""Verdicts that say nothing of the candidates behind the winner."""
NOISY_WINDOW_SD = 0.15
"""Above this windows of one configuration differ by more than most gains worth having."""
FEW_TRIALS, FEW_SHARE = 12, 0.5
"""With fewer candidates than that, and than half of the space, the budget ended the search, not the search itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a study ended with. `config` is what to deploy: the winner, or the reference baseline."""

    line: VerdictLine
    config: DeploymentConfig
    reference: str
    is_reference_feasible: bool
    confirmation: Confirmation | None
    front: Front | None = None
    """Of a study with several objectives; `config` is its knee then."""

    @property
    def is_tuned(self) -> bool:
        return self.line.verdict == "tuned"

    @property
    def is_answer(self) -> bool:
        """False where no configuration ran, or none keeps the limits: what is written then is only the nearest."""
        return self.is_tuned or (self.line.reason != "failed" and self.is_reference_feasible)


def run_phases(runner: SessionRunner, search: Search) -> Result:
    """Runs phases 1 to 6, from wherever the record stands, with a search that is empty. Raises their TunerErrors."""
    state = runner.state
    if is_finished(state):
        runner.say(FINISHED)
        return read_result(state)
    if state.log.all_sessions():
        runner.say(resumed_line(state))
    # A space that does not compile is found before anything is measured.
    listing = list_space(runner)
    state = runner.state = replace(state, distinct=len(listing.distinct) if listing else None)
    settle_reference(runner)
    plan = study_plan(state)
    for line in plan_lines(state, plan):
        runner.say(line)
    end = None
    search.restore(finished_trials(state), duplicates=state.log.duplicates())
    is_searched = bool(state.steps("final")) or runner_up(state) is not None
    if not is_searched and not has_confirmation(state, state.attempt):
        end = explore(runner, plan, search, listing)
        runner.say(f"search ended: {end}{_few(state, listing)}")
    while True:
        verdict = _conclude(runner, study_plan(state), end)
        for line in confirmation_lines(state):
            runner.say(line)
        runner.append(replace(verdict, duplicates=search.duplicates))
        if (following := runner_up(state)) is None:
            return read_result(state)
        runner.say(f"turned down: {verdict.detail}; the runner-up is {following.config}")


def resumed_line(state: StudyState) -> str:
    """Returns where a study that has begun stands."""
    lines, remaining_s = state.log.all_sessions(), state.remaining_s()
    left = "no limit of time" if remaining_s is None else f"{max(0.0, remaining_s):.0f} s left"
    return f"resuming: {len(lines)} sessions on record, phase {lines[-1].phase}, {left}"


def is_finished(state: StudyState) -> bool:
    """Whether there is a verdict for this budget, and no runner-up to confirm."""
    verdicts = state.log.verdicts()
    is_settled = bool(verdicts) and not _is_larger(state.study.budget, verdicts[-1])
    is_open = has_confirmation(state, len(verdicts) + 1)
    return is_settled and not is_open and runner_up(state) is None


def has_confirmation(state: StudyState, attempt: int) -> bool:
    """Whether one was opened."""
    return state.log.confirmation(attempt) is not None or state.log.front(attempt) is not None


def runner_up(state: StudyState) -> Candidate | None:
    """Returns the candidate that is confirmed next, within the same budget, after a winner that was turned down.

    A winner that broke its limits or crashed says nothing of the others: the best of them follows, where there is time
    for four sessions. Where the winner gained too little none follows.
    """
    verdicts = state.log.verdicts()
    if not verdicts or verdicts[-1].reason not in TURNED_DOWN or _is_larger(state.study.budget, verdicts[-1]):
        return None
    last, remaining_s = verdicts[-1].round, state.remaining_s()
    if not state.has_reference or state.log.confirmation(last) is None:
        return None
    plan = study_plan(state, last)
    if remaining_s is not None and remaining_s < SESSIONS[0] * plan.session_cost_s:
        return None
    return next((c for c in finalists(state, plan) if is_better(c, state.reference)), None)


def settle_reference(runner: SessionRunner) -> None:
    """Runs phases 1 and 2: the baselines, interleaved in fresh processes, and the reference beside itself.

    Says what they showed. Raises NoAnswerError where no baseline runs, and what `check_reference` raises.
    """
    state = runner.state
    budget = state.study.budget
    total_s = float("inf") if budget.minutes is None else 60 * budget.minutes
    blocks, pairs = next((blocks, pairs) for from_s, blocks, pairs in BASELINE_BLOCKS if total_s >= from_s)
    if not state.has_reference:
        configs = state.setup.baselines
        runner.show("baselines", ", ".join(configs))
        plan = plan_session(state, None, "baselines", blocks=blocks, is_fresh=True)
        line = runner.measure(list(configs.values()), plan)
        # Says why where none of them runs; the same command tries again.
        rank_baselines(state.study.objective, dict(zip(configs, line.session.members, strict=True)))
    check_reference(state, study_plan(state))
    if state.log.calibration() is None and not state.log.sessions("search", "race"):
        _calibrate(runner, pairs, total_s)
    for words in baseline_lines(state.reference):
        runner.say(words)


def _calibrate(runner: SessionRunner, sessions: int, total_s: float) -> None:
    """Measures the reference beside itself and appends the line that fixes what follows.

    Takes `sessions` in fresh processes, fewer where they do not fit into a tenth of the budget, none where an earlier
    study of today knew the noise.
    """
    state, reference = runner.state, runner.state.reference
    known, cost = state.setup.known_noise, reference.noise.cost
    if known is not None and known.df >= ENOUGH_DF:
        sessions = 0
    needed = percentile_blocks(state.study.objective, reference.noise.requests_per_window)
    pairs = max(CALIBRATION_PAIRS, needed)
    window_s = first_window_s(state.setup)
    for _ in range(state.steps("calibration"), sessions):
        if state.log.spent_s() + cost.of(pairs, window_s) > BASELINES_SHARE * total_s:
            break
        runner.show("calibration", "against itself")
        plan = plan_session(state, reference, "calibration", blocks=pairs, window_s=window_s, is_fresh=True)
        runner.measure([reference.configuration, reference.configuration], plan)
    noise = state.reference.noise
    runner.append(
        CalibrationLine(
            known=known,
            session_sd=noise.session_sd,
            session_df=noise.session_df,
            provable_gain_pct=provable_pct(state, study_plan(state)),
        )
    )
    runner.remember(noise)


def provable_pct(state: StudyState, plan: StudyPlan) -> float:
    """The smallest gain that the plan proves with a probability of 80 %."""
    sd = state.reference.noise.session_sd_of(plan.pairs)
    share = share_of(state.log.winners_before(state.attempt))
    if (count := len(state.study.objective.metrics)) > 1:
        share /= count * (FRONT_MEMBERS - 1)
    return smallest_provable_gain_pct(
        sd,
        plan.k_max,
        share,
        min_gain_log=gain_log(state.study.min_gain_pct),
        sd_floor=SD_FLOOR * sd,
    )


def baseline_lines(reference: Reference) -> list[str]:
    """The baselines against the reference, and a calm warning about a noisy host, each one line."""
    ranking, noise = reference.ranking, reference.noise
    others = [
        f"{name} {gain_pct(value):+.1f} %{_broken(ranking.violations.get(name, {}))}"
        for name, value in ranking.values.items()
        if name != ranking.reference
    ]
    lines = [f"reference: {ranking.reference}; beside it, positive is better: {', '.join(others)}"] if others else []
    if not ranking.is_feasible:
        lines.append("no baseline keeps the limits: candidates are compared with the nearest, and no gain is claimed")
    lines += [f"baseline {name} failed: {failure}" for name, failure in ranking.failures.items()]
    words = f"noise: neighbouring windows differ by {100 * noise.window_sd:.1f} % (sd)"
    windows = windows_of([reference.line.session])
    warned = warning(mean_load(windows), when="while the baselines were measured")
    if noise.window_sd > NOISY_WINDOW_SD and not warned:
        words += ": this host is noisy; a longer budget proves smaller gains"
    if noise.unsteady:
        lines.append(f"not steady after 5 s of warm-up: {', '.join(noise.unsteady)}")
    disturbed = disturbed_words(count_disturbed(windows), len(windows))
    return [*lines, words, *filter(None, (disturbed, late_words(windows), warned))]


def _few(state: StudyState, listing: Listing | None) -> str:
    """That the budget was too short for a search worth the name."""
    tried = {n for line in state.log.sessions("search", "race") for n in line.trials if n is not None}
    if listing is None or len(tried) >= min(FEW_TRIALS, FEW_SHARE * len(listing.distinct)):
        return ""
    return f"; only {len(tried)} of {len(listing.distinct)} configurations were tried: a longer budget tries more"


def _broken(violations: Mapping[str, float]) -> str:
    """Why a baseline that is better than the reference is not the reference."""
    metrics = [metric for metric, excess in violations.items() if excess > 0.0]
    return f" (beyond the limit of {', '.join(metrics)})" if metrics else ""


def confirmation_lines(state: StudyState) -> list[str]:
    """What the host did to the confirmation: the windows it disturbed, and a warning where it was much worse than
    while the baselines were measured, on which the plan rests."""
    windows = windows_of(line.session for line in state.log.sessions("confirm", round=state.attempt))
    known = mean_load(windows_of([state.reference.line.session]))
    disturbed = disturbed_words(count_disturbed(windows), len(windows))
    warned = warning(mean_load(windows), when="while the winner was confirmed", beyond=known)
    return [words for words in (disturbed, late_words(windows), warned) if words]


def plan_lines(state: StudyState, plan: StudyPlan) -> list[str]:
    """The budget by phases, what it rests on, and the smallest gain that it can prove and that the study wants."""
    noise = state.reference.noise
    search = "until the trials are done" if plan.search_s is None else f"{plan.search_s:.0f} s"
    minutes = state.study.budget.minutes
    within = "" if minutes is None else f", in {minutes:g} min"
    known = state.setup.known_noise
    usual = "" if noise.session_df or known else " (the usual noise: this budget has no time to find out)"
    return [
        f"plan: baselines and calibration {plan.baselines_s:.0f} s, search {search}, final {plan.final_s:.0f} s, "
        f"confirmation {plan.confirm_s:.0f} s (at most {plan.k_max} sessions of {plan.pairs} pairs)",
        f"sessions of equals differ by {100 * noise.session_sd:.1f} % here{usual}",
        f"provable on this machine{within}: a gain of {provable_pct(state, plan):.1f} % or more",
        *percentile_lines(state, plan),
        *plan.notes,
    ]


def _conclude(runner: SessionRunner, plan: StudyPlan, end: SearchEnd | None) -> VerdictLine:
    failure = str(end) if end is not None and end.reason is EndReason.ALL_FAILED else ""
    state = runner.state
    if state.study.objective.has_several:
        front_head = state.log.front(state.attempt)
        if front_head is None and (points := pick_points(runner, plan)):
            front_head = open_front(runner, plan, points)
        front = confirm_front(runner, front_head) if front_head else baselines_alone(state)
        return judge_front(state, front, failure)
    head = state.log.confirmation(state.attempt)
    if head is None:
        following = runner_up(state)
        winner = winner_of(state, [following]) if following else pick_winner(runner, plan)
        if winner is None:
            return judge_round(state, None, failure)
        head = open_confirmation(runner, plan, winner)
    return judge_round(state, confirm(runner, head), "")


def read_result(state: StudyState) -> Result:
    """Returns the best verdict of all attempts, read off the record alone.

    A gain once confirmed stays, unless a later attempt proved a larger one. Of fronts the latest that was confirmed
    counts.
    """
    results = [_read_attempt(state, line) for line in state.log.verdicts()]
    tuned = [r for r in results if r.is_tuned]
    if state.study.objective.has_several:
        return (tuned or results)[-1]
    return max(tuned, key=_proved) if tuned else results[-1]


def _read_attempt(state: StudyState, line: VerdictLine) -> Result:
    if state.study.objective.has_several:
        return _read_front_attempt(state, line)
    head, ranking = state.log.confirmation(line.round), state.reference.ranking
    confirmation = read_confirmation(state, head) if head else None
    reference = head.reference if head else ranking.reference
    is_tuned = line.verdict == "tuned" and head is not None
    return Result(
        line=line,
        config=head.winner if is_tuned and head is not None else state.setup.baselines[reference],
        reference=reference,
        is_reference_feasible=confirmation.is_reference_feasible if confirmation else ranking.is_feasible,
        confirmation=confirmation,
    )


def _read_front_attempt(state: StudyState, line: VerdictLine) -> Result:
    head = state.log.front(line.round)
    front = read_front(state, head) if head else baselines_alone(state)
    is_tuned = line.verdict == "tuned" and front.knee is not None
    keeps = front.knee if front.knee is not None and (is_tuned or front.knee.is_baseline) else None
    return Result(
        line=line,
        config=keeps.config if keeps else state.setup.baselines[front.reference],
        reference=front.reference,
        is_reference_feasible=front.is_reference_feasible,
        confirmation=None,
        front=front,
    )


def _proved(result: Result) -> float:
    """The lower bound of the gain, a log-ratio."""
    interval = result.confirmation.interval if result.confirmation else None
    return interval.low if interval else 0.0


def _is_larger(budget: Budget, line: VerdictLine) -> bool:
    """Whether a budget goes beyond the one that led to a verdict, in any of its totals."""
    more_time = line.minutes is not None and (budget.minutes is None or budget.minutes > line.minutes)
    more_trials = line.trials is not None and (budget.trials is None or budget.trials > line.trials)
    return more_time or more_trials
