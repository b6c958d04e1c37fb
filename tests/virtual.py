"""Whole studies in virtual time: the real phases, record and search on a made-up bench. No real time passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tuner.bench.configuration import DeploymentConfig, Effective, Failure, FailureKind
from tuner.bench.measurement import Session, Window, Windows
from tuner.bench.metrics import METRICS
from tuner.bench.protocol import Bench, Phase, Progress, SessionPlan, SessionRequest
from tuner.bench.simulated.synthetic import CompileEffect, Drift, Effect, FakeClock, Noise, SyntheticBench, hill
from tuner.decision.result import Result
from tuner.evidence.noise import Calibration
from tuner.evidence.state import Reference, StudyState
from tuner.model.spec import ModelSpec
from tuner.phases.order import run_phases
from tuner.phases.progress import Event, Status
from tuner.phases.runner import SessionRunner
from tuner.planning.budget import StudyPlan
from tuner.planning.study_plan import study_plan
from tuner.records.session_log import Log, SessionLine, open_log
from tuner.report.words.progress import event_lines
from tuner.report.words.verdict import verdict_words
from tuner.search.database.study_database import StudyDatabase
from tuner.search.enumeration import SpaceEnumeration, enumerate_space
from tuner.search.optuna_study import Search
from tuner.study.configuration import to_configuration
from tuner.study.setup import KnownNoise, StudySetup
from tuner.study.space import Assignment, Parameter, Space
from tuner.study.study import BaselineSpec, Budget, Limit, Objective, SamplerName, SpaceSpec, Study
from tuner.study.trial import TrialSummary

CLOSED_WINDOW = Window(
    block=0, turn=0, started_s=0.0, duration_s=1.0, samples=1, latency_counts={0: 1}, latency_sum_ms=1.0
)
CLOSED = [name for name, row in METRICS.items() if row.is_in([CLOSED_WINDOW])]
"""The metrics that every window of the closed loop has, old ones too."""
ARRIVING = {"max_rate_per_s", "backlog_pct", "load_pct"}
"""The metrics that it never has."""
ORDER: tuple[Phase, ...] = ("baselines", "calibration", "race", "search", "final", "confirm")


def parameter(name: str, *values: str | int | float | bool | None) -> Parameter:
    return Parameter(name=name, values=values)


def space_of(*parameters: Parameter) -> Space:
    return Space(parameters=parameters)


TINY = space_of(parameter("NUM_STREAMS", 1, 4, 8), parameter("infer_requests", 8, 16))
"""Five distinct configurations that are no baseline on eight made-up CPUs: straight to the final."""
SMALL = space_of(
    parameter("NUM_STREAMS", 1, 2, 4, 8), parameter("infer_requests", 4, 8, 16), parameter("batch_size", 1, 4)
)
"""24 distinct configurations: raced."""
LARGE = space_of(
    parameter("NUM_STREAMS", 1, 2, 4, 8),
    parameter("INFERENCE_NUM_THREADS", 2, 4, 8),
    parameter("ENABLE_CPU_PINNING", True, False),
    parameter("infer_requests", 4, 8, 16, 32),
    parameter("batch_size", 1, 2, 4, 8),
)
"""More than are raced: sampled."""
NULL_SPACE = space_of(parameter("CPU_RUNTIME_CACHE_CAPACITY", *range(0, 5000, 500)))
"""Ten configurations that nothing but their key tells apart from the `{}` baseline."""


def make_study(
    *,
    metric: str = "throughput",
    limits: Sequence[Limit] = (),
    others: Sequence[str] = (),
    minutes: float | None = 2.0,
    trials: int | None = None,
    sampler: SamplerName = "auto",
    seed: int = 0,
    baselines: Mapping[str, BaselineSpec] | None = None,
    min_gain_pct: float = 1.0,
) -> Study:
    return Study(
        name="virtual",
        path=Path("virtual.yaml"),
        text="schema_version: 1\n",
        model=ModelSpec(path="builtin:mlp", folder=Path()),
        device="CPU",
        objective=Objective(metric=metric, limits=tuple(limits), others=tuple(others)),
        space=SpaceSpec(is_auto=True),
        budget=Budget(minutes=minutes, trials=trials),
        baselines=baselines or {},
        seed=seed,
        sampler=sampler,
        min_gain_pct=min_gain_pct,
    )


def disturbances(seed: int = 0, *, noise: float = 0.03, drift: float = 0.1, compiling: float = 0.01) -> list[Effect]:
    """As measured on a noisy virtual machine (tuner/README.md)."""
    return [Noise(noise, seed=seed), Drift(drift, seed=seed + 1), CompileEffect(compiling, seed=seed + 2)]


def quiet() -> list[Effect]:
    """As on a machine that does nothing else: a gain of some per cent is found every time."""
    return disturbances(noise=0.01, compiling=0.003)


def make_bench(seed: int = 0, **more: object) -> SyntheticBench:
    return SyntheticBench(effects=disturbances(seed), **more)  # type: ignore[arg-type]


@dataclass(slots=True)
class Listener:
    """A Reporter that remembers."""

    events: list[Event] = field(default_factory=list)
    shown: list[Status] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """What a user reads of the events."""
        return [line for event in self.events for line in event_lines(event)]

    def tell(self, event: Event) -> None:
        self.events.append(event)

    def show(self, status: Status) -> None:
        self.shown.append(status)


class PowerCut(BaseException):
    """The end of the process, as far as the study can tell."""


@dataclass(slots=True)
class Fuse:
    """A bench that blows before its `calls`-th session."""

    inner: SyntheticBench
    calls: int
    measured: int = 0

    def resolve(self, config: DeploymentConfig) -> Effective | Failure:
        return self.inner.resolve(config)

    def measure(self, request: SessionRequest, progress: Progress | None = None) -> Session:
        self.measured += 1
        if self.measured == self.calls:
            raise PowerCut
        return self.inner.measure(request, progress)


@dataclass(slots=True)
class PhaseFuse:
    """A bench that blows before the `calls`-th session of a phase."""

    inner: SyntheticBench
    phase: Phase
    calls: int

    def resolve(self, config: DeploymentConfig) -> Effective | Failure:
        return self.inner.resolve(config)

    def measure(self, request: SessionRequest, progress: Progress | None = None) -> Session:
        self.calls -= request.plan.phase == self.phase
        if self.calls == 0:
            raise PowerCut
        return self.inner.measure(request, progress)


@dataclass(slots=True)
class Meddler:
    """A bench whose sessions are changed on their way."""

    inner: SyntheticBench
    change: Callable[[SessionPlan, Session], Session]

    def resolve(self, config: DeploymentConfig) -> Effective | Failure:
        return self.inner.resolve(config)

    def measure(self, request: SessionRequest, progress: Progress | None = None) -> Session:
        return self.change(request.plan, self.inner.measure(request, progress))


@dataclass(slots=True, kw_only=True)
class Virtual:
    """One study with its folder; `run` is one call of the command."""

    folder: Path
    study: Study = field(default_factory=make_study)
    space: Space = TINY
    bench: SyntheticBench = field(default_factory=lambda: SyntheticBench(effects=quiet()))
    seeds: Sequence[Assignment] = ()
    cpu_quota: float | None = None
    known_noise: KnownNoise | None = None
    remember: Callable[[Calibration], None] = lambda calibration: None
    listener: Listener = field(default_factory=Listener)
    has_database: bool = False
    """True where a run writes study.db, which takes longer than everything else."""
    searched: Search | None = None
    """Search of the last run."""

    @property
    def log_path(self) -> Path:
        return self.folder / "sessions.jsonl"

    @property
    def db_path(self) -> Path:
        return self.folder / "study.db"

    @property
    def clock(self) -> FakeClock:
        return self.bench.clock

    @property
    def setup(self) -> StudySetup:
        return StudySetup(
            study=self.study, space=self.space, seeds=self.seeds, cpu_quota=self.cpu_quota, known_noise=self.known_noise
        )

    def state(self) -> StudyState:
        """The study as its record has it."""
        return StudyState(setup=self.setup, log=self.log())

    def runner(self, bench: Bench | None = None) -> SessionRunner:
        return SessionRunner(
            state=self.state(),
            bench=bench or self.bench,
            reporter=self.listener,
            clock=self.clock,
            remember=self.remember,
            describe=verdict_words,
        )

    def enumeration(self) -> SpaceEnumeration | None:
        """The space as the bench resolves it."""
        return enumerate_space(self.setup, self.bench.resolve, clock=self.clock, tell=self.listener.tell)

    def search(self) -> Search:
        metrics = self.study.objective.metrics
        database = StudyDatabase(path=self.db_path, name="search", metrics=metrics, tell=self.listener.tell)
        self.searched = Search(
            space=self.space,
            sampler=self.study.sampler,
            seed=self.study.seed,
            metrics=len(metrics),
            database=database if self.has_database else None,
        )
        return self.searched

    def run(self, bench: Bench | None = None) -> Result:
        with self.search() as search:
            return run_phases(self.runner(bench), search)

    def log(self) -> Log:
        """Returns the record; nothing waits for the disk, which takes longer than all else in a virtual study."""
        return open_log(self.log_path, sync=lambda fd: None)

    def sessions(self, *phases: Phase) -> list[SessionLine]:
        return self.log().sessions(*(phases or ORDER))

    def phases(self) -> list[Phase]:
        return [line.phase for line in self.sessions()]

    def reference(self) -> Reference:
        return self.state().reference

    def plan(self) -> StudyPlan:
        return study_plan(self.state())

    def trials(self) -> list[TrialSummary]:
        assert self.searched is not None
        return self.searched.trials()


def crash(message: str = "boom") -> Failure:
    return Failure(kind=FailureKind.CRASH, message=message)


def refuse(message: str = "not supported") -> Failure:
    return Failure(kind=FailureKind.COMPILE, message=message)


def numbers_of(lines: list[SessionLine]) -> list[int]:
    return [number for line in lines for number in line.trials if number is not None]


def streams(config: DeploymentConfig) -> int:
    return int(config.properties.get("NUM_STREAMS", 0))


def flat(config: DeploymentConfig) -> float:
    """Every configuration is as fast as every other."""
    return 500.0


def by_streams(**speeds: float) -> Callable[[DeploymentConfig], float]:
    """Samples/s by what is asked of NUM_STREAMS, 100 for the baselines: `by_streams(s1=90, s4=120)`."""
    return lambda config: speeds.get(f"s{streams(config)}", 100.0)


def slowed(session: Session, name: str, factor: float) -> Session:
    """A session in which members with this property took longer."""

    def slow(config: DeploymentConfig, member: Windows | Failure) -> Windows | Failure:
        if isinstance(member, Failure) or name not in config.properties:
            return member
        windows = tuple(replace(w, duration_s=w.duration_s / factor) for w in member.windows)
        return replace(member, windows=windows)

    members = tuple(slow(c, m) for c, m in zip(session.configurations, session.members, strict=True))
    return replace(session, members=members)


def calm(surface: Callable[[DeploymentConfig], float] = hill) -> SyntheticBench:
    return SyntheticBench(surface=surface, effects=[Noise(0.005)])


def configs_of(space: Space) -> list[DeploymentConfig]:
    return [to_configuration(point, device="CPU", api="async") for point in space.assignments()]
