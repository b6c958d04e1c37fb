"""What a study has measured so far, read off its record: the reference, the candidates, the time that is left.

Nothing here acts: sessions are run by `runner.py`, time is divided by `study_plan.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tuner.bench.configuration import DeploymentConfig
from tuner.bench.measurement import Windows
from tuner.bench.protocol import Phase
from tuner.evidence.baseline_ranking import BaselineRanking, rank_baselines
from tuner.evidence.candidates import Candidate, Comparer, Evidence
from tuner.evidence.noise import Calibration, calibrate
from tuner.records.session_log import CalibrationLine, Line, Log, SessionLine, VerdictLine
from tuner.study.setup import KnownNoise, StudySetup
from tuner.study.study import Study
from tuner.study.windows import first_window_s, is_window_fixed


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The strongest baseline, which every value is relative to, and the noise of this host around it.

    A final in which another baseline did better does not change it: that one is only the confirmation's reference.
    """

    ranking: BaselineRanking
    noise: Calibration
    configuration: DeploymentConfig
    baseline_keys: Mapping[str, str]
    """Baseline -> effective key, without the baselines that failed."""
    line: SessionLine
    """The session in which the baselines were measured."""
    comparer: Comparer

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
        """Length of every window (s) but the confirmation's, which the plan has."""
        return self.noise.window_s

    def distinct_baselines(self) -> list[str]:
        """Returns the reference, then the strongest baseline of each other effective configuration, by name."""
        values = self.ranking.values
        names: dict[str, str] = {}
        for name in [self.name, *sorted(values, key=lambda name: -values[name])]:
            names.setdefault(self.baseline_keys[name], name)
        return list(names.values())

    def new_evidence(self) -> Evidence:
        """Returns evidence that holds nothing yet: what is added to it is compared with this reference."""
        return Evidence(self.comparer, reference_key=self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyState:
    """A study and its record. All but the three fields is derived from them; what takes long is kept until lines come.

    Lines that a record gains are seen at the next access, and only they are read.
    """

    setup: StudySetup
    log: Log
    distinct: int | None = None
    """Number of configurations of the enumerated space, all of them resolved; None where it was not enumerated."""
    _known: _Known = field(default_factory=lambda: _Known(), init=False, repr=False, compare=False)

    @property
    def study(self) -> Study:
        """The study as its file has it."""
        return self.setup.study

    @property
    def attempt(self) -> int:
        """Number of the attempt that is going on or comes next: one more than there are verdicts."""
        return self._up_to_date().verdicts + 1

    @property
    def has_reference(self) -> bool:
        """True if a baseline has run."""
        return self._up_to_date().baselines is not None

    @property
    def reference(self) -> Reference:
        """The reference as the record has it. Raises ValueError before a baseline has run."""
        known = self._up_to_date()
        if known.reference is None:
            if known.baselines is None:
                raise ValueError("there is no reference before a baseline has run")
            known.reference = _read_reference(self.setup, known.baselines, known.calibrations, known.fixed)
        return known.reference

    @property
    def evidence(self) -> Evidence:
        """All that the record tells of candidates, compared with the reference. Raises ValueError as `reference`."""
        known, reference = self._known, self.reference
        if known.evidence is None:
            known.evidence = reference.new_evidence()
        known.evidence.read(self.log.lines)
        return known.evidence

    @property
    def candidates(self) -> dict[str, Candidate]:
        """Key -> candidate, see `Evidence`."""
        return self.evidence.candidates

    def session_count(self, phase: Phase) -> int:
        """Returns the number of sessions of a phase in this attempt."""
        return len(self.log.sessions(phase, attempt=self.attempt))

    def remaining_s(self) -> float | None:
        """Returns the seconds that are left of the budget, negative beyond it; None where it has no minutes."""
        minutes = self.study.budget.minutes
        return None if minutes is None else 60.0 * minutes - self.log.spent_s()

    def _up_to_date(self) -> _Known:
        self._known.read(self.log.lines)
        return self._known


@dataclass(slots=True, kw_only=True)
class _Known:
    """What has been read off the record so far, and what was made of it."""

    lines: int = 0
    verdicts: int = 0
    baselines: SessionLine | None = None
    """The last session of the baselines in which one of them ran."""
    calibrations: list[SessionLine] = field(default_factory=list)
    fixed: CalibrationLine | None = None
    """The first end of a calibration: what follows from it does not change any more."""
    reference: Reference | None = None
    evidence: Evidence | None = None

    def read(self, lines: Sequence[Line]) -> None:
        """Reads what has been added to `lines` since the last time."""
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
            elif isinstance(line, SessionLine) and line.phase == "baselines" and _ran(line):
                self.baselines = line
            else:
                continue
            self.reference = self.evidence = None
        self.lines = len(lines)


def _ran(line: SessionLine) -> bool:
    return any(isinstance(member, Windows) for member in line.session.members)


def _read_reference(
    setup: StudySetup, line: SessionLine, calibrations: Sequence[SessionLine], fixed: CalibrationLine | None
) -> Reference:
    study, configs, session = setup.study, setup.baselines, line.session
    members = dict(zip(configs, session.members, strict=True))
    ranking = rank_baselines(study.objective, members)
    known: KnownNoise | None = fixed.known if fixed else setup.known_noise
    noise = calibrate(
        study.objective,
        session,
        members,
        ranking.reference,
        first_window_s(setup),
        twins=[calibration.session for calibration in calibrations],
        known=known,
        is_fixed=is_window_fixed(setup) or study.objective.needs_start_up,
        has_own_processes=study.has_own_processes,
    )
    return Reference(
        ranking=ranking,
        noise=noise,
        configuration=configs[ranking.reference],
        baseline_keys={name: m.effective.key for name, m in members.items() if isinstance(m, Windows)},
        line=line,
        comparer=Comparer(
            objective=study.objective,
            window_sd=noise.window_sd,
            compile_sd=noise.compile_sd,
            best_ratios_log=ranking.best_ratios_log,
        ),
    )
