"""The order of the phases, from the baselines to the verdict. Runs on any Bench; what is on record is not done again.

Knows what follows what; each phase has its own module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from tuner.bench.protocol import DeploymentConfig
from tuner.study.baselines import stand
from tuner.study.budget import BASELINES_SHARE, FRONT_MEMBERS, smallest_provable_gain_pct
from tuner.study.calibration import ENOUGH_DF
from tuner.study.campaign import Campaign, Ground, percentile_blocks, plan_session, read_ground
from tuner.study.confirm import SD_FLOOR, Confirmation, confirm, judge_round, open_confirmation, read_confirmation
from tuner.study.decision import SESSIONS, gain_log, gain_pct, share_of
from tuner.study.disturbance import count_disturbed, disturbed_words, late_words, mean_load, warning, windows_of
from tuner.study.evidence import Candidate
from tuner.study.explore import ALL_FAILED, explore
from tuner.study.final import finalists, is_better, pick_winner, winner_of
from tuner.study.front_confirm import Front, baselines_alone, confirm_front, judge_front, open_front, read_front
from tuner.study.front_final import pick_points
from tuner.study.listing import Listing, list_space
from tuner.study.records import CalibrationLine, VerdictLine
from tuner.study.refusal import check_ground, percentile_lines
from tuner.study.search import Search
from tuner.study.study import Budget
from tuner.study.trial_session import finished_trials

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


def run_phases(campaign: Campaign, open_search: Callable[[], Search]) -> Result:
    """Phases 1 to 6, from wherever the record stands. Raises TunerErrors of the phases."""
    verdicts = campaign.log.verdicts()
    campaign.round = len(verdicts) + 1
    if is_finished(campaign):
        campaign.round = len(verdicts)
        campaign.reporter.say("finished before: its verdict stands, and a larger budget searches on")
        return read_result(campaign, _ground(campaign))
    if campaign.log.all_sessions():
        campaign.reporter.say(resumed_line(campaign))
    # A damaged study.db and a space that does not compile are found before anything is measured.
    search = open_search()
    listing = list_space(campaign)
    campaign.distinct = len(listing.distinct) if listing else None
    ground = settle_ground(campaign)
    for line in plan_lines(campaign, ground):
        campaign.reporter.say(line)
    why = ""
    search.reconcile(finished_trials(campaign, ground))
    is_searched = bool(campaign.log.sessions("final", round=campaign.round)) or runner_up(campaign) is not None
    if not is_searched and not has_confirmation(campaign, campaign.round):
        why = explore(campaign, ground, search, listing)
        campaign.reporter.say(f"search ended: {why}{_few(campaign, listing)}")
    while True:
        verdict = _conclude(campaign, ground, why)
        for line in confirmation_lines(campaign, ground):
            campaign.reporter.say(line)
        repeats = sum(1 for trial in search.trials() if "same_as" in trial.record)
        campaign.log.append(replace(verdict, duplicates=repeats))
        campaign.round += 1
        if (following := runner_up(campaign)) is None:
            campaign.round -= 1
            return read_result(campaign, ground)
        ground = _ground(campaign)
        campaign.reporter.say(f"turned down: {verdict.detail}; the runner-up is {following.config}")


def resumed_line(campaign: Campaign) -> str:
    """Where a study that has begun stands."""
    lines, left_s = campaign.log.all_sessions(), campaign.left_s()
    left = "no limit of time" if left_s is None else f"{max(0.0, left_s):.0f} s left"
    return f"resuming: {len(lines)} sessions on record, phase {lines[-1].phase}, {left}"


def _ground(campaign: Campaign) -> Ground:
    """As the record has it, once there are baselines."""
    ground = read_ground(campaign.setting, campaign.log, round=campaign.round)
    assert ground is not None
    return ground


def is_finished(campaign: Campaign) -> bool:
    """Whether there is a verdict for this budget, and no runner-up to confirm."""
    verdicts = campaign.log.verdicts()
    is_settled = bool(verdicts) and not _is_larger(campaign.study.budget, verdicts[-1])
    is_open = has_confirmation(campaign, len(verdicts) + 1)
    return is_settled and not is_open and runner_up(campaign) is None


def has_confirmation(campaign: Campaign, round: int) -> bool:
    """Whether one was opened."""
    return campaign.log.confirmation(round) is not None or campaign.log.front(round) is not None


def runner_up(campaign: Campaign) -> Candidate | None:
    """Who is confirmed next, within the same budget, after a winner that was turned down for its limits or its crashes:
    the best of the others, where there is time for four sessions. Where the winner gained too little nobody is."""
    verdicts = campaign.log.verdicts()
    if not verdicts or verdicts[-1].reason not in TURNED_DOWN or _is_larger(campaign.study.budget, verdicts[-1]):
        return None
    last, left_s = verdicts[-1].round, campaign.left_s()
    ground = read_ground(campaign.setting, campaign.log, round=last)
    if ground is None or campaign.log.confirmation(last) is None:
        return None
    if left_s is not None and left_s < SESSIONS[0] * ground.plan.session_cost_s:
        return None
    return next((c for c in finalists(campaign, ground) if is_better(c, ground)), None)


def settle_ground(campaign: Campaign) -> Ground:
    """Phases 1 and 2: the baselines, interleaved in fresh processes, the reference beside itself, and what follows from
    them. Raises NoAnswerError where no baseline runs, and what `check_ground` raises."""
    budget = campaign.study.budget
    total_s = float("inf") if budget.minutes is None else 60 * budget.minutes
    blocks, twins = next((blocks, twins) for from_s, blocks, twins in BASELINE_BLOCKS if total_s >= from_s)
    ground = read_ground(campaign.setting, campaign.log, round=campaign.round)
    if ground is None:
        configs = campaign.setting.baselines
        campaign.show(replace(campaign.status, phase="baselines", left_s=campaign.left_s(), note=", ".join(configs)))
        plan = plan_session(campaign, None, "baselines", blocks=blocks, is_fresh=True)
        line = campaign.measure(list(configs.values()), plan)
        # Says why where none of them runs; the same command tries again.
        stand(campaign.study.objective, dict(zip(configs, line.session.members, strict=True)))
        ground = _ground(campaign)
    check_ground(campaign, ground)
    if campaign.log.calibration() is None and not campaign.log.sessions("search", "race"):
        ground = _calibrate(campaign, ground, twins, total_s)
    for words in baseline_lines(ground):
        campaign.reporter.say(words)
    return ground


def _calibrate(campaign: Campaign, ground: Ground, twins: int, total_s: float) -> Ground:
    """The reference beside itself in `twins` fresh processes, fewer where they do not fit into a tenth of the budget,
    none where an earlier study of today knew the noise; then the line that fixes what follows."""
    known, cost = campaign.setting.known_noise, ground.calibration.cost
    if known is not None and known.df >= ENOUGH_DF:
        twins = 0
    needed = percentile_blocks(campaign.study.objective, ground.calibration.requests_per_window)
    pairs = max(CALIBRATION_PAIRS, needed)
    for _ in range(campaign.steps("calibration"), twins):
        if campaign.log.spent_s() + cost.of(pairs, campaign.setting.window_s) > BASELINES_SHARE * total_s:
            break
        campaign.show(replace(campaign.status, phase="calibration", left_s=campaign.left_s(), note="against itself"))
        window_s = campaign.setting.window_s
        plan = plan_session(campaign, ground, "calibration", blocks=pairs, window_s=window_s, is_fresh=True)
        campaign.measure([ground.reference, ground.reference], plan)
    found = _ground(campaign)
    campaign.log.append(
        CalibrationLine(
            known=known,
            session_sd=found.calibration.session_sd,
            session_df=found.calibration.session_df,
            provable_gain_pct=provable_pct(campaign, found),
        )
    )
    campaign.remember(found.calibration)
    return found


def provable_pct(campaign: Campaign, ground: Ground) -> float:
    """The smallest gain that the plan proves with a probability of 80 %."""
    sd = ground.calibration.session_sd_of(ground.plan.pairs)
    share = share_of(campaign.log.winners_before(campaign.round))
    if (count := len(campaign.study.objective.metrics)) > 1:
        share /= count * (FRONT_MEMBERS - 1)
    return smallest_provable_gain_pct(
        sd,
        ground.plan.k_max,
        share,
        min_gain_log=gain_log(campaign.study.min_gain_pct),
        sd_floor=SD_FLOOR * sd,
    )


def baseline_lines(ground: Ground) -> list[str]:
    """The baselines against the reference, and a calm warning about a noisy host, each one line."""
    standing, calibration = ground.standing, ground.calibration
    others = [
        f"{name} {gain_pct(value):+.1f} %{_broken(standing.violations.get(name, {}))}"
        for name, value in standing.values.items()
        if name != standing.reference
    ]
    lines = [f"reference: {standing.reference}; beside it, positive is better: {', '.join(others)}"] if others else []
    if not standing.is_feasible:
        lines.append("no baseline keeps the limits: candidates are compared with the nearest, and no gain is claimed")
    lines += [f"baseline {name} failed: {failure}" for name, failure in standing.failures.items()]
    noise = f"noise: neighbouring windows differ by {100 * calibration.window_sd:.1f} % (sd)"
    windows = windows_of([ground.baselines.session])
    warned = warning(mean_load(windows), when="while the baselines were measured")
    if calibration.window_sd > NOISY_WINDOW_SD and not warned:
        noise += ": this host is noisy; a longer budget proves smaller gains"
    if calibration.unsteady:
        lines.append(f"not steady after 5 s of warm-up: {', '.join(calibration.unsteady)}")
    disturbed = disturbed_words(count_disturbed(windows), len(windows))
    return [*lines, noise, *filter(None, (disturbed, late_words(windows), warned))]


def _few(campaign: Campaign, listing: Listing | None) -> str:
    """That the budget was too short for a search worth the name."""
    tried = {n for line in campaign.log.sessions("search", "race") for n in line.trials if n is not None}
    if listing is None or len(tried) >= min(FEW_TRIALS, FEW_SHARE * len(listing.distinct)):
        return ""
    return f"; only {len(tried)} of {len(listing.distinct)} configurations were tried: a longer budget tries more"


def _broken(violations: Mapping[str, float]) -> str:
    """Why a baseline that is better than the reference is not the reference."""
    metrics = [metric for metric, excess in violations.items() if excess > 0.0]
    return f" (beyond the limit of {', '.join(metrics)})" if metrics else ""


def confirmation_lines(campaign: Campaign, ground: Ground) -> list[str]:
    """What the host did to the confirmation: the windows it disturbed, and a warning where it was much worse than
    while the baselines were measured, on which the plan rests."""
    windows = windows_of(line.session for line in campaign.log.sessions("confirm", round=campaign.round))
    known = mean_load(windows_of([ground.baselines.session]))
    disturbed = disturbed_words(count_disturbed(windows), len(windows))
    warned = warning(mean_load(windows), when="while the winner was confirmed", beyond=known)
    return [words for words in (disturbed, late_words(windows), warned) if words]


def plan_lines(campaign: Campaign, ground: Ground) -> list[str]:
    """The budget by phases, what it rests on, and the smallest gain that it can prove and that the study wants."""
    plan, calibration = ground.plan, ground.calibration
    search = "until the trials are done" if plan.search_s is None else f"{plan.search_s:.0f} s"
    minutes = campaign.study.budget.minutes
    within = "" if minutes is None else f", in {minutes:g} min"
    known = campaign.setting.known_noise
    usual = "" if calibration.session_df or known else " (the usual noise: this budget has no time to find out)"
    return [
        f"plan: baselines and calibration {plan.baselines_s:.0f} s, search {search}, final {plan.final_s:.0f} s, "
        f"confirmation {plan.confirm_s:.0f} s (at most {plan.k_max} sessions of {plan.pairs} pairs)",
        f"sessions of equals differ by {100 * calibration.session_sd:.1f} % here{usual}",
        f"provable on this machine{within}: a gain of {provable_pct(campaign, ground):.1f} % or more",
        *percentile_lines(campaign.study.objective, ground),
        *plan.notes,
    ]


def _conclude(campaign: Campaign, ground: Ground, why: str) -> VerdictLine:
    failure = why if why.startswith(ALL_FAILED) else ""
    if campaign.study.objective.has_several:
        front_head = campaign.log.front(campaign.round)
        if front_head is None and (points := pick_points(campaign, ground)):
            front_head = open_front(campaign, ground, points)
        front = confirm_front(campaign, ground, front_head) if front_head else baselines_alone(campaign, ground)
        return judge_front(campaign, ground, front, failure)
    head = campaign.log.confirmation(campaign.round)
    if head is None:
        following = runner_up(campaign)
        winner = winner_of(campaign, ground, [following]) if following else pick_winner(campaign, ground)
        if winner is None:
            return judge_round(campaign, ground, None, failure)
        head = open_confirmation(campaign, ground, winner)
    return judge_round(campaign, ground, confirm(campaign, ground, head), "")


def read_result(campaign: Campaign, ground: Ground) -> Result:
    """The best verdict of all rounds: a gain once confirmed stays, unless a later round proved a larger one. Of fronts
    the latest that was confirmed."""
    results = [_read_round(campaign, ground, line) for line in campaign.log.verdicts()]
    tuned = [r for r in results if r.is_tuned]
    if campaign.study.objective.has_several:
        return (tuned or results)[-1]
    return max(tuned, key=_proved) if tuned else results[-1]


def _read_round(campaign: Campaign, ground: Ground, line: VerdictLine) -> Result:
    if campaign.study.objective.has_several:
        return _read_front_round(campaign, ground, line)
    head = campaign.log.confirmation(line.round)
    state = read_confirmation(campaign, ground, head) if head else None
    reference = head.reference if head else ground.standing.reference
    is_tuned = line.verdict == "tuned" and head is not None
    return Result(
        line=line,
        config=head.winner if is_tuned and head is not None else campaign.setting.baselines[reference],
        reference=reference,
        is_reference_feasible=state.is_reference_feasible if state else ground.standing.is_feasible,
        confirmation=state,
    )


def _read_front_round(campaign: Campaign, ground: Ground, line: VerdictLine) -> Result:
    head = campaign.log.front(line.round)
    front = read_front(campaign, ground, head) if head else baselines_alone(campaign, ground)
    is_tuned = line.verdict == "tuned" and front.knee is not None
    keeps = front.knee if front.knee is not None and (is_tuned or front.knee.is_baseline) else None
    return Result(
        line=line,
        config=keeps.config if keeps else campaign.setting.baselines[front.reference],
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
