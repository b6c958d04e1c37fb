"""What the phases share: the study with its space, the bench and the record, and what the record implies so far.

Knows how a session is planned and written down; the phases decide what is measured.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tuner.bench.protocol import Bench, Clock, DeploymentConfig, Failure, Phase, PropertyValue, SessionPlan, Windows
from tuner.study.baselines import Calibration, Standing, baseline_configs, calibrate, stand
from tuner.study.budget import BudgetPlan, plan_budget
from tuner.study.evidence import Candidate, gather
from tuner.study.records import Log, SessionLine
from tuner.study.space import Assignment, Space
from tuner.study.status import Reporter, Status
from tuner.study.study import Objective, Study

WINDOW_S, DROP_S = 0.4, 0.1
QUOTA_WINDOW_S, QUOTA_DROP_S = 1.0, 0.2
"""Under a CPU quota a window covers ten scheduler periods of 100 ms, and the first two are dropped (measurement.md)."""
BASELINE_WINDOW_LIMIT_S = 20.0
"""How long a baseline's window may take; a candidate's limit is the usual 3 s, or twice what the reference needed."""
WINDOW_LIMIT_S = 3.0
STEADY, STEADY_SDS = 0.10, 3.3
PERCENTILE_MARGIN = 1.3
"""More windows than a percentile's requests need, so that a slower moment does not leave a session short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What does not change while a study runs."""

    study: Study
    space: Space
    seeds: Sequence[Assignment]
    fixed: Mapping[str, PropertyValue] = field(default_factory=dict)
    """Properties every candidate carries: the pinned precision."""
    cpu_quota: float | None = None

    @property
    def baselines(self) -> dict[str, DeploymentConfig]:
        return baseline_configs(self.study)

    @property
    def window_s(self) -> float:
        return WINDOW_S if self.cpu_quota is None else QUOTA_WINDOW_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What the baselines settled: the reference that every value is relative to, the noise, the plan of the budget."""

    standing: Standing
    calibration: Calibration
    plan: BudgetPlan
    reference: DeploymentConfig
    baseline_keys: Mapping[str, str]
    """Baseline -> effective key, of those that ran."""

    @property
    def reference_key(self) -> str:
        return self.baseline_keys[self.standing.reference]


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
    status: Status = field(default_factory=lambda: Status(phase="preflight", left_s=None))

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
        """One session, on disk before anybody hears of it."""
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
        minutes = self.study.budget.minutes
        return None if minutes is None else max(0.0, 60.0 * minutes - self.log.spent_s())


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
    has_quota = campaign.setting.cpu_quota is not None

    def tick(members: Sequence[Windows | Failure]) -> bool:
        campaign.reporter.show(campaign.status)
        return enough is not None and enough(members)

    words = f"{campaign.study.seed}/{campaign.round}/{phase}/{campaign.steps(phase)}"
    plan = SessionPlan(
        phase=phase,
        seed=zlib.crc32(words.encode()),
        blocks=blocks,
        window_s=max(window_s or 0.0, campaign.setting.window_s) if has_quota else window_s or WINDOW_S,
        drop_s=QUOTA_DROP_S if has_quota else DROP_S,
        max_window_s=BASELINE_WINDOW_LIMIT_S,
        steady_tolerance=2 * STEADY,
        is_fresh=is_fresh,
        enough=tick,
    )
    if ground is None:
        return plan
    return replace(
        plan,
        max_window_s=max(WINDOW_LIMIT_S, 2 * ground.calibration.longest_window_s),
        steady_tolerance=max(STEADY, STEADY_SDS * ground.calibration.window_sd),
    )


def percentile_blocks(study: Study, calibration: Calibration) -> int:
    """How many windows each side needs before the objective's or a limit's percentile may be claimed."""
    rows = [study.objective.row, *(limit.row for limit in study.objective.limits)]
    needed = max(row.min_requests for row in rows)
    if needed == 1:
        return 1
    return math.ceil(PERCENTILE_MARGIN * needed / max(1.0, calibration.requests_per_window))


def read_ground(setting: Setting, log: Log, *, round: int) -> Ground | None:
    """The ground as the record has it; None before the baselines were measured. A final in which another baseline did
    better than the reference does not move the ground: that one is only the confirmation's reference."""
    lines = log.sessions("baselines")
    if not lines:
        return None
    study, session = setting.study, lines[-1].session
    configs = setting.baselines
    members = dict(zip(configs, session.members, strict=True))
    standing = stand(study.objective, members)
    calibration = calibrate(study.objective, session, members, standing.reference, setting.window_s)
    minutes = study.budget.minutes
    earlier_s = sum(line.session.wall_s for line in log.sessions("final", "confirm") if line.round < round)
    plan = plan_budget(
        None if minutes is None else max(0.0, 60.0 * minutes - earlier_s),
        calibration.cost,
        baselines=len(configs),
        baselines_s=session.wall_s,
        min_window_s=setting.window_s if setting.cpu_quota is not None else 0.3,
        min_pairs=percentile_blocks(study, calibration),
    )
    return Ground(
        standing=standing,
        calibration=calibration,
        plan=plan,
        reference=configs[standing.reference],
        baseline_keys={name: m.effective.key for name, m in members.items() if isinstance(m, Windows)},
    )


def candidates_of(campaign: Campaign, ground: Ground) -> dict[str, Candidate]:
    """What searches and finals have measured against the reference, by effective key."""
    return candidates_in(campaign.log, campaign.study.objective, ground)


def candidates_in(log: Log, objective: Objective, ground: Ground) -> dict[str, Candidate]:
    """As `candidates_of`, of any log."""
    return gather(
        log.sessions("search", "race", "final"),
        objective,
        reference_key=ground.reference_key,
        window_sd=ground.calibration.window_sd,
        best_ratios_log=ground.standing.best_ratios_log,
    )
