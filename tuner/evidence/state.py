"""The state of a study, read off its record: the reference, the candidates and the remaining time.

Responsible for reading. Must not run sessions or divide time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tuner.bench.configuration import DeploymentConfig
from tuner.bench.measurement import Windows
from tuner.bench.metrics import Requirement, request_count
from tuner.bench.protocol import Phase
from tuner.evidence.baseline_ranking import BaselineRanking, rank_baselines
from tuner.evidence.candidates import Candidate, Comparer, Evidence
from tuner.evidence.noise import Calibration, CalibrationSessions, calibrate
from tuner.evidence.pooled_metrics import metrics_of
from tuner.records.session_log import CalibrationLine, Line, Log, SessionLine, VerdictLine
from tuner.study.baselines import today_name
from tuner.study.setup import StudySetup
from tuner.study.study import Study
from tuner.study.windows import first_window_s, is_window_fixed


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The strongest baseline, to which every value is relative, and the noise of this host.

    If another baseline does better in a final, it becomes the reference of the confirmation alone.
    """

    ranking: BaselineRanking
    noise: Calibration
    configuration: DeploymentConfig
    baseline_keys: Mapping[str, str]
    """Baseline -> effective key, without the baselines that failed."""
    line: SessionLine
    """The session in which the baselines were measured."""
    comparer: Comparer
    today_name: str = "default"
    """Name of the baseline that runs today, whether it ran here or not."""
    baseline_names: tuple[str, ...] = ()
    """Names of all baselines, in the order of the members of `line`."""

    @property
    def name(self) -> str:
        """The name of the baseline."""
        return self.ranking.reference

    @property
    def key(self) -> str:
        """The effective key of the configuration."""
        return self.baseline_keys[self.name]

    @property
    def window_s(self) -> float:
        """Length of a window (s) outside the confirmation, whose windows the plan has."""
        return self.noise.window_s

    def levels(self) -> list[float]:
        """Returns what the reference measured of each objective, beside the other baselines."""
        found = metrics_of(dict(self.line.session.ran())[self.configuration]).values
        return [found[metric] for metric in self.comparer.objective.metrics]

    def distinct_baselines(self) -> list[str]:
        """Returns the reference, then the strongest baseline of each other effective configuration, by name."""
        values = self.ranking.values
        names: dict[str, str] = {}
        for name in [self.name, *sorted(values, key=lambda name: -values[name])]:
            names.setdefault(self.baseline_keys[name], name)
        return list(names.values())

    @property
    def today(self) -> str | None:
        """Name of the baseline that runs today; None if it failed."""
        return self.today_name if self.today_name in self.baseline_keys else None

    def differs_from_today(self, name: str) -> bool:
        """Returns True if today's baseline ran, and a baseline is another effective configuration."""
        return self.today is not None and self.baseline_keys.get(name) != self.baseline_keys[self.today]

    def same_as(self, name: str) -> tuple[str, ...]:
        """Returns the names of all baselines that are the effective configuration of one that ran, in their order."""
        key = self.baseline_keys.get(name)
        return (name,) if key is None else tuple(n for n, other in self.baseline_keys.items() if other == key)

    @property
    def requests_per_window(self) -> float:
        """Number of requests in a window of the reference, or of today's baseline if that has fewer."""
        members = dict(zip(self.baseline_names, self.line.session.members, strict=True))
        today = members.get(self.today_name)
        if not isinstance(today, Windows) or not today.windows:
            return self.noise.requests_per_window
        return min(self.noise.requests_per_window, request_count(today.windows) / len(today.windows))

    def new_evidence(self) -> Evidence:
        """Returns empty evidence, which compares with this reference."""
        return Evidence(self.comparer, reference_key=self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyState:
    """A study and its record; everything beyond the fields is derived from them.

    Slow results are kept until lines are added to the record. New lines are seen at the next access, and each is read
    once.
    """

    setup: StudySetup
    log: Log
    distinct: int | None = None
    """Number of effective configurations of the space; None if the space was not enumerated."""
    _known: _Known = field(default_factory=lambda: _Known(), init=False, repr=False, compare=False)

    @property
    def study(self) -> Study:
        """The study, as its file describes it."""
        return self.setup.study

    @property
    def attempt(self) -> int:
        """Number of the current attempt: one more than there are verdicts."""
        return self._up_to_date().verdicts + 1

    @property
    def has_reference(self) -> bool:
        """True if a baseline has run."""
        return self._up_to_date().baselines is not None

    @property
    def reference(self) -> Reference:
        """The reference. Raises ValueError before a baseline has run."""
        known = self._up_to_date()
        if known.reference is None:
            if known.baselines is None:
                raise ValueError("there is no reference before a baseline has run")
            known.reference = _read_reference(self.setup, known.baselines, known.calibrations, known.fixed)
        return known.reference

    @property
    def evidence(self) -> Evidence:
        """Candidates, compared with the reference. Raises ValueError before a baseline has run."""
        known, reference = self._known, self.reference
        if known.evidence is None:
            known.evidence = reference.new_evidence()
        known.evidence.read(self.log.lines)
        return known.evidence

    @property
    def candidates(self) -> dict[str, Candidate]:
        """Effective key -> candidate."""
        return self.evidence.candidates

    def session_count(self, phase: Phase) -> int:
        """Returns the number of sessions of a phase in this attempt."""
        return len(self.log.sessions(phase, attempt=self.attempt))

    def remaining_s(self) -> float | None:
        """Returns the remaining seconds of the budget, negative beyond its end; None for a budget without minutes."""
        minutes = self.study.budget.minutes
        return None if minutes is None else 60.0 * minutes - self.log.spent_s()

    def _up_to_date(self) -> _Known:
        self._known.read(self.log.lines)
        return self._known


@dataclass(slots=True, kw_only=True)
class _Known:
    """Lines of the record that were read so far, and results derived from these lines."""

    lines: int = 0
    """Number of lines that were read."""
    verdicts: int = 0
    baselines: SessionLine | None = None
    """The last session of the baselines in which one of the baselines ran."""
    calibrations: list[SessionLine] = field(default_factory=list)
    fixed: CalibrationLine | None = None
    """The first end of a calibration, which fixes the noise that an earlier study found."""
    reference: Reference | None = None
    evidence: Evidence | None = None

    def read(self, lines: Sequence[Line]) -> None:
        """Reads the lines that were added since the last call."""
        if self.lines == len(lines):
            return
        for line in lines[self.lines :]:
            if isinstance(line, VerdictLine):
                self.verdicts += 1
                continue
            if isinstance(line, CalibrationLine) and self.fixed is None:
                self.fixed = line
            elif isinstance(line, SessionLine) and line.phase == "calibration":
                self.calibrations.append(line)
            elif isinstance(line, SessionLine) and line.phase == "baselines" and line.session.ran():
                self.baselines = line
            else:
                continue
            self.reference = self.evidence = None
        self.lines = len(lines)


def _read_reference(
    setup: StudySetup, line: SessionLine, calibrations: Sequence[SessionLine], fixed: CalibrationLine | None
) -> Reference:
    study, configs = setup.study, setup.baselines
    members = dict(zip(configs, line.session.members, strict=True))
    baselines = {name: member for name, member in members.items() if isinstance(member, Windows)}
    ranking = rank_baselines(study.objective, members)
    sessions = CalibrationSessions(
        metric=study.objective.row,
        session=line.session,
        baselines=baselines,
        reference=ranking.reference,
        window_s=first_window_s(setup),
        aa_sessions=[calibration.session for calibration in calibrations],
        has_own_processes=study.has_own_processes,
    )
    noise = calibrate(
        sessions,
        known=fixed.known if fixed else setup.known_noise,
        is_fixed=is_window_fixed(setup) or study.objective.needs(Requirement.COLD_START),
    )
    return Reference(
        ranking=ranking,
        noise=noise,
        configuration=configs[ranking.reference],
        baseline_keys={name: member.effective.key for name, member in baselines.items()},
        line=line,
        comparer=Comparer(
            objective=study.objective,
            window_sd=noise.window_sd,
            window_s=noise.window_s,
            compile_sd=noise.compile_sd,
            best_ratios_log=ranking.best_ratios_log,
        ),
        today_name=today_name(study),
        baseline_names=tuple(configs),
    )
