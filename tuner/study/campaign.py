"""What the phases share: the study with its space, the bench and the record, and what the record implies so far.

Knows how a session is planned and written down; the phases decide what is measured.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tuner.bench.protocol import (
    Bench,
    Clock,
    DeploymentConfig,
    Failure,
    Load,
    Phase,
    PropertyValue,
    SessionPlan,
    Windows,
)
from tuner.study.baselines import Standing, baseline_configs, stand
from tuner.study.budget import SHORT_WINDOW_S, BudgetPlan, plan_budget
from tuner.study.calibration import Calibration, KnownNoise, calibrate
from tuner.study.decision import SESSIONS
from tuner.study.evidence import Candidate, Evidence
from tuner.study.records import Log, SessionLine
from tuner.study.space import Assignment, Space
from tuner.study.status import Reporter, Status
from tuner.study.study import Objective, Study
from tuner.study.watch import NoWatch, Watch

WINDOW_S, DROP_S, WARM_UP_S = 0.4, 0.1, 0.5
QUOTA_WINDOW_S, QUOTA_DROP_S = 1.0, 0.2
"""Under a CPU quota a window covers ten scheduler periods of 100 ms, and the first two are dropped (measurement.md)."""
OPEN_ARRIVALS, OPEN_WINDOW_S, OPEN_WINDOW_AT_MOST_S = 100, 1.0, 3.0
"""A window under arriving requests holds so many arrivals, so that a backlog shows, within these lengths."""
OPEN_DROP_S = 0.3
"""Its ramp: a queue that starts empty takes tens of service times to look as it usually does."""
OPEN_LAG_SHARE = 0.10
"""Of the strictest absolute latency limit: how late the generator may start requests (measurement.md)."""
PROBES = 6
"""Windows of a session in which the largest rate is looked for: the bisection of [0.3, 0.98] of the throughput then
ends 1.9 % wide."""
BASELINE_WINDOW_LIMIT_S = 20.0
"""How long a baseline's window may take; a candidate's limit is the usual 3 s, or twice what the reference needed."""
WINDOW_LIMIT_S = 3.0
LONG_WINDOW_LIMIT_S, LONG_WINDOWS_FROM_MIN = 6.0, 10.0
RACE_UP_TO = 50
"""A space of so few has each of them measured. In ten minutes there is time for those too whose four rounds take longer
than 3 s, which on large servers are among the best (256 requests of 16 samples); a large space is full of them."""
PATIENCE = 2
"""Who was fast enough in the search may take so many times as long afterwards: a slower moment of the host is no fault
of a candidate, and to turn it down for one would be to discard by the result."""
STEADY, STEADY_SDS = 0.10, 3.3
PERCENTILE_MARGIN = 1.3
"""More windows than a percentile's requests need, so that a slower moment does not leave a session short."""
LINEUP = 7
"""Members of one session at most, the reference among them (measurement.md)."""
WARM_UP_WINDOWS = 3
"""A warm-up is at least three windows (measurement.md), each as long as four rounds of all requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What does not change while a study runs."""

    study: Study
    space: Space
    seeds: Sequence[Assignment]
    fixed: Mapping[str, PropertyValue] = field(default_factory=dict)
    """Properties every candidate carries: the pinned precision."""
    cpu_quota: float | None = None
    known_noise: KnownNoise | None = None
    """Of an earlier study of today, where there was one."""

    @property
    def baselines(self) -> dict[str, DeploymentConfig]:
        return baseline_configs(self.study)

    @property
    def window_s(self) -> float:
        """Until the noise is known."""
        window_s = WINDOW_S if self.cpu_quota is None else QUOTA_WINDOW_S
        return window_s if self.study.load is None else max(window_s, open_window_s(self.study.load))

    @property
    def is_fixed(self) -> bool:
        """Whether windows stay as long as that, however quiet the host: they are as long as the conditions need."""
        return self.cpu_quota is not None or self.study.load is not None

    @property
    def load(self) -> Load | None:
        """As a session needs it: how late its generator may be follows from the strictest absolute latency limit."""
        load, limits = self.study.load, self.study.objective.limits
        if load is None:
            return None
        named = [*load.keep, *((limit.metric, limit.max) for limit in limits if limit.max is not None)]
        latencies = [most for name, most in named if name.startswith("latency_")]
        return replace(load, lag_limit_ms=OPEN_LAG_SHARE * min(latencies) if latencies else None)


def open_window_s(load: Load) -> float:
    """Where the rate is looked for every probe lengthens its window by itself."""
    wanted = 0.0 if load.rate_per_s is None else OPEN_ARRIVALS / load.rate_per_s
    return min(OPEN_WINDOW_AT_MOST_S, max(OPEN_WINDOW_S, wanted))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What the baselines settled: the reference that every value is relative to, the noise, the plan of the budget."""

    standing: Standing
    calibration: Calibration
    plan: BudgetPlan
    reference: DeploymentConfig
    baseline_keys: Mapping[str, str]
    """Baseline -> effective key, of those that ran."""
    baselines: SessionLine
    """Where they were measured."""

    @property
    def reference_key(self) -> str:
        return self.baseline_keys[self.standing.reference]

    @property
    def window_s(self) -> float:
        """Of every window but the confirmation's, which the plan has."""
        return self.calibration.window_s


@dataclass(slots=True, kw_only=True)
class Campaign:
    """One run of a study over its record. Only the counters live here; everything else is read off the log."""

    setting: Setting
    bench: Bench
    log: Log
    reporter: Reporter
    clock: Clock
    round: int
    """Counts verdicts: 1 until the first, then one more each time a larger budget searches on."""
    remember: Callable[[Calibration], None] = lambda calibration: None
    """Told how noisy the host was found to be, for the studies to come."""
    watch: Watch = field(default_factory=NoWatch)
    """May hold a session back while the host is busy; `clock` stands still meanwhile."""
    distinct: int | None = None
    """Configurations of the listed space, every point of which has been resolved: resolving one again costs nothing."""
    status: Status = field(default_factory=lambda: Status(phase="preflight", left_s=None))
    evidence: Evidence | None = None

    @property
    def study(self) -> Study:
        return self.setting.study

    def steps(self, phase: Phase) -> int:
        return len(self.log.sessions(phase, round=self.round))

    def measure(
        self,
        lineup: Sequence[DeploymentConfig],
        plan: SessionPlan,
        *,
        trials: Sequence[int | None] | None = None,
        assignments: Sequence[Assignment | None] | None = None,
    ) -> SessionLine:
        """One session, on disk before anybody hears of it; a host that turned bad is given time first."""
        self.watch.before_session(self.log.all_sessions(), self.reporter.say)
        session = self.bench.measure(lineup, plan)
        line = SessionLine(
            phase=plan.phase,
            round=self.round,
            step=self.steps(plan.phase),
            trials=tuple(trials) if trials else (None,) * len(lineup),
            assignments=tuple(assignments) if assignments else (None,) * len(lineup),
            session=session,
        )
        self.log.append(line)
        return line

    def show(self, status: Status) -> None:
        self.status = status
        self.reporter.show(status)

    def left_s(self) -> float | None:
        """Of the budget; negative beyond it."""
        minutes = self.study.budget.minutes
        return None if minutes is None else 60.0 * minutes - self.log.spent_s()


def plan_session(
    campaign: Campaign,
    ground: Ground | None,
    phase: Phase,
    *,
    blocks: int,
    window_s: float | None = None,
    is_fresh: bool = False,
    enough: Callable[[Sequence[Windows | Failure]], bool] | None = None,
) -> SessionPlan:
    """A plan with this host's windows and limits. The seed follows from study, round, phase and step, so that a resumed
    study shuffles as an uninterrupted one would."""
    drop_s = DROP_S if campaign.setting.cpu_quota is None else QUOTA_DROP_S
    load = campaign.setting.load

    def tick(members: Sequence[Windows | Failure]) -> bool:
        campaign.reporter.show(campaign.status)
        return enough is not None and enough(members)

    words = f"{campaign.study.seed}/{campaign.round}/{phase}/{campaign.steps(phase)}"
    plan = SessionPlan(
        phase=phase,
        seed=zlib.crc32(words.encode()),
        blocks=max(blocks, PROBES) if load and load.finds_max else blocks,
        window_s=window_s or (campaign.setting.window_s if ground is None else ground.window_s),
        warm_up_s=0.0 if campaign.study.objective.needs_start_up else WARM_UP_S,
        drop_s=max(drop_s, OPEN_DROP_S) if load else drop_s,
        load=load,
        max_window_s=BASELINE_WINDOW_LIMIT_S,
        steady_tolerance=2 * STEADY,
        is_fresh=is_fresh,
        enough=tick,
    )
    if ground is None:
        return plan
    patience = PATIENCE if phase in ("final", "confirm") else 1
    return replace(
        plan,
        max_window_s=patience * longest_window_s(campaign, ground),
        steady_tolerance=max(STEADY, STEADY_SDS * ground.calibration.window_sd),
    )


def longest_window_s(campaign: Campaign, ground: Ground) -> float:
    """How long a candidate's window may take (s)."""
    has_time = (campaign.study.budget.minutes or 0.0) >= LONG_WINDOWS_FROM_MIN
    is_small = campaign.distinct is not None and campaign.distinct <= RACE_UP_TO
    usual_s = LONG_WINDOW_LIMIT_S if has_time and is_small else WINDOW_LIMIT_S
    return max(usual_s, 2 * ground.calibration.longest_window_s)


def percentile_blocks(objective: Objective, requests_per_window: float) -> int:
    """How many windows a side of a confirmation session needs for the percentiles that it claims: those of the
    objective and of ratios from each session alone, those of absolute limits from four sessions pooled."""
    needed = float(max(row.min_requests for row in objective.rows))
    for limit in objective.limits:
        is_ratio = limit.min_ratio is not None or limit.max_ratio is not None
        needed = max(needed, limit.row.min_requests / (1 if is_ratio else SESSIONS[0]))
    if needed <= 1:
        return 1
    return math.ceil(PERCENTILE_MARGIN * needed / max(1.0, requests_per_window))


def longer_s(ground: Ground, candidate: Candidate) -> float:
    """How much longer a candidate's window is than planned: it holds four rounds of all its requests, however large the
    batch."""
    return max(0.0, candidate.judgements[-1].window_s - ground.window_s)


def read_ground(setting: Setting, log: Log, *, round: int) -> Ground | None:
    """The ground as the record has it; None before a baseline has run. A final in which another baseline did better
    than the reference does not move the ground: that one is only the confirmation's reference."""
    lines = [line for line in log.sessions("baselines") if any(isinstance(m, Windows) for m in line.session.members)]
    if not lines:
        return None
    study, session = setting.study, lines[-1].session
    configs = setting.baselines
    members = dict(zip(configs, session.members, strict=True))
    standing = stand(study.objective, members)
    fixed = log.calibration()
    calibration = calibrate(
        study.objective,
        session,
        members,
        standing.reference,
        setting.window_s,
        twins=[line.session for line in log.sessions("calibration")],
        known=fixed.known if fixed else setting.known_noise,
        is_fixed=setting.is_fixed or study.objective.needs_start_up,
        is_apart=study.is_apart,
    )
    minutes = study.budget.minutes
    earlier_s = sum(line.session.wall_s for line in log.sessions("final", "confirm") if line.round < round)
    plan = plan_budget(
        None if minutes is None else max(0.0, 60.0 * minutes - earlier_s),
        calibration.cost,
        baselines=len(configs),
        baselines_s=sum(line.session.wall_s for line in (lines[-1], *log.sessions("calibration"))),
        wanted_window_s=calibration.window_s,
        min_window_s=setting.window_s if setting.is_fixed else SHORT_WINDOW_S,
        min_pairs=percentile_blocks(study.objective, calibration.requests_per_window),
        has_several=study.objective.has_several,
    )
    return Ground(
        standing=standing,
        calibration=calibration,
        plan=plan,
        reference=configs[standing.reference],
        baseline_keys={name: m.effective.key for name, m in members.items() if isinstance(m, Windows)},
        baselines=lines[-1],
    )


def candidates_of(campaign: Campaign, ground: Ground) -> dict[str, Candidate]:
    """What searches and finals have measured against the reference, by key (see `Evidence`)."""
    return evidence_of(campaign, ground).candidates


def evidence_of(campaign: Campaign, ground: Ground) -> Evidence:
    """What the record tells of candidates, up to its last line."""
    if campaign.evidence is None:
        campaign.evidence = evidence_on(ground, campaign.study.objective)
    campaign.evidence.read(campaign.log.lines)
    return campaign.evidence


def evidence_on(ground: Ground, objective: Objective) -> Evidence:
    """Nothing yet: what is read into it is judged against this ground."""
    return Evidence(
        objective,
        reference_key=ground.reference_key,
        window_sd=ground.calibration.window_sd,
        compile_sd=ground.calibration.compile_sd,
        best_ratios_log=ground.standing.best_ratios_log,
    )
