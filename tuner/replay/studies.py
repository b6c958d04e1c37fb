"""Runs studies on tables in virtual time: what a strategy finds and claims where the truth is known.

Responsible for the studies and for their outcomes. Must not measure anything on this host, nor make words.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Literal, get_args

from tuner.bench.configuration import DeploymentConfig, Failure
from tuner.bench.protocol import Role, SessionMember, SessionPlan, SessionRequest
from tuner.bench.simulated.table import NOISES, HostNoise, Row, Table, null_table, read_table
from tuner.errors import InputError
from tuner.evidence.candidates import ranked
from tuner.evidence.state import StudyState
from tuner.model.host import cpus_allowed
from tuner.model.spec import ModelSpec
from tuner.phases.order import run_phases
from tuner.phases.progress import Event, Status
from tuner.phases.runner import SessionRunner
from tuner.records.session_log import Answer, Log
from tuner.replay.evaluation import Evaluation, NullStudies, Replays, evaluate
from tuner.replay.recorded_table import read_recorded
from tuner.replay.replayed import NEAR, Replayed
from tuner.search.optuna_study import Search
from tuner.search.seeds import seeds
from tuner.study.baselines import baseline_configs
from tuner.study.configuration import to_configuration
from tuner.study.setup import StudySetup
from tuner.study.space import Parameter, Space
from tuner.study.study import Budget, Objective, SamplerName, SpaceSpec, Study

StrategyName = SamplerName | Literal["plain"]

REPLAYED: tuple[StrategyName, ...] = (*get_args(SamplerName), "plain")
"""Names of the strategies: the samplers of a study, and `plain`, Optuna's TPE over single measurements."""

COPIES = 20
"""Number of copies of one configuration in a null study; the best of twenty lucky numbers looks like a gain."""

PLAIN_WINDOW_S = 2.0
"""Seconds for which the loop of `plain` times a configuration, as a loop written by hand does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One replayed study."""

    table: Table
    noise: HostNoise
    strategy: StrategyName
    minutes: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """The options of `tuner replay`."""

    minutes: tuple[float, ...]
    studies: int
    """Number of studies of each strategy on each table with each budget."""
    strategies: str
    """Names of strategies, separated by commas."""
    noise: str
    """Name of a noise, or `recorded` for that of each table."""
    null_studies: int
    """Number of null studies on each table's noise with each budget."""
    rows: int | None = None
    """Number of rows that are drawn from each table beside its baselines; None for all."""
    seed: int = 0
    jobs: int | None = None
    """Number of processes; None for one on each CPU."""


def replay_tables(paths: Sequence[Path], options: ReplayOptions) -> Replays:
    """Runs every strategy on every table with every budget, and the null studies on each table's noise.

    Raises InputError for a file that is no table, and for unknown strategies and noises.
    """
    strategies = [_strategy(name.strip()) for name in options.strategies.split(",")]
    if options.noise not in ("recorded", *NOISES):
        raise InputError(f"--noise {options.noise}: unknown", advice=f"it is recorded, or one of {', '.join(NOISES)}")
    tables = [read_recorded(path) if path.is_dir() else read_table(path) for path in paths]
    if options.rows is not None:
        tables = [table.sample(options.rows, seed=options.seed) for table in tables]
    if not all(math.isfinite(minutes) for minutes in options.minutes):
        raise InputError(f"--minutes {max(options.minutes)}: a budget is a finite number of minutes")
    noises = [_noise_of(table, options.noise) for table in tables]
    jobs = options.jobs or cpus_allowed()

    def studies(table: Table, noise: HostNoise, strategy: StrategyName, minutes: float, count: int) -> list[Replayed]:
        seeds = range(options.seed, options.seed + count)
        tasks = [Task(table=table, noise=noise, strategy=strategy, minutes=minutes, seed=seed) for seed in seeds]
        return replay_all(tasks, jobs=jobs)

    evaluations: list[Evaluation] = []
    null_studies: list[NullStudies] = []
    for table, noise in zip(tables, noises, strict=True):
        for minutes in options.minutes:
            for name in strategies:
                found = studies(table, noise, name, minutes, options.studies)
                evaluations.append(
                    evaluate(found, table=table.name, strategy=name, noise=options.noise, minutes=minutes)
                )
            if options.null_studies:
                found = studies(null_table(table.reference, COPIES), noise, "auto", minutes, options.null_studies)
                null_studies.append(
                    NullStudies(
                        table=table.name,
                        noise=options.noise,
                        minutes=minutes,
                        studies=len(found),
                        false_positives=sum(one.is_tuned or one.is_hint for one in found),
                        confirmed=sum(one.interval is not None for one in found),
                    )
                )
    return Replays(evaluations=evaluations, null_studies=null_studies)


def _strategy(name: str) -> StrategyName:
    if name not in REPLAYED:
        raise InputError(f"--strategies {name}: unknown", advice=f"it is one of {', '.join(REPLAYED)}")
    return REPLAYED[REPLAYED.index(name)]


def _noise_of(table: Table, name: str) -> HostNoise:
    if name != "recorded":
        return NOISES[name]
    if table.noise is None:
        raise InputError(
            f"{table.name} does not say how noisy its host was", advice=f"add --noise {' or --noise '.join(NOISES)}"
        )
    return table.noise


def replay(task: Task) -> Replayed:
    """Runs one study and returns its outcome."""
    return _plain(task) if task.strategy == "plain" else _study(task)


def replay_all(tasks: Sequence[Task], *, jobs: int) -> list[Replayed]:
    """Runs studies in `jobs` processes and returns their outcomes in the order of the tasks."""
    if jobs <= 1:
        return [replay(task) for task in tasks]
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        try:
            return list(pool.map(replay, tasks, chunksize=max(1, min(16, len(tasks) // (4 * jobs)))))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # Ctrl-C does not wait for queued studies
            raise


class _Silence:
    def tell(self, event: Event) -> None:
        """Drops an event."""

    def show(self, status: Status) -> None:
        """Drops a status."""


def _study(task: Task) -> Replayed:
    """Runs the phases of `tuner run` on a table."""
    table, setup, bench = task.table, _setup(task), task.table.bench(task.noise, seed=task.seed)
    state = StudyState(setup=setup, log=Log(None))
    runner = SessionRunner(state=state, bench=bench, reporter=_Silence(), clock=bench.clock)
    search = Search(space=setup.space, sampler=setup.study.sampler, seed=task.seed)
    result = run_phases(runner, search)
    deployed, shown = table.row_of(result.config), result.confirmation.interval if result.confirmation else None
    winners = result.confirmation.plan.members if result.confirmation else ()
    winner = table.row_of(winners[0]) if winners else None
    against = table.row_of(setup.baselines[result.reference])
    rows, path = _path(state, table)
    replaced = table.reference if result.is_tuned else table.baselines[result.today or result.reference]
    return Replayed(
        is_tuned=result.is_tuned,
        is_hint=result.line.answer is Answer.HINT,
        reason=result.line.reason,
        true_gain=table.gain_log(deployed),
        gain_over_replaced=math.log(deployed.throughput_per_s / replaced.throughput_per_s),
        regret=table.regret_log(deployed),
        tried_regret=_tried_regret(table, rows),
        claim=shown.estimate if shown and result.is_tuned else None,
        interval=(shown.low, shown.high) if shown else None,
        interval_truth=math.log(winner.throughput_per_s / against.throughput_per_s) if winner else None,
        trials=len(rows),
        trials_to_near=_trials_to_near(table, rows),
        path=path,
        wall_s=bench.clock(),
    )


def _plain(task: Task) -> Replayed:
    """Runs the loop around Optuna that is usually written: each configuration once, alone; the best number counts."""
    table, setup, bench = task.table, _setup(task), task.table.bench(task.noise, seed=task.seed)
    search = Search(space=setup.space, sampler="tpe", seed=task.seed)
    plan = SessionPlan(phase="measure", seed=task.seed, blocks=1, window_s=PLAIN_WINDOW_S, is_fresh=True)

    def speed(config: DeploymentConfig, max_window_s: float = plan.max_window_s) -> float | Failure:
        alone = SessionMember(config=config, role=Role.CANDIDATE)
        request = SessionRequest(members=(alone,), plan=replace(plan, max_window_s=max_window_s))
        (member,) = bench.measure(request).members
        return (
            member
            if isinstance(member, Failure)
            else statistics.fmean(w.samples / w.duration_s for w in member.windows)
        )

    hint = speed(setup.baselines["THROUGHPUT"], math.inf)
    assert isinstance(hint, float)
    rows: list[Row] = []
    best, deployed = hint, table.baselines["THROUGHPUT"]
    path = [(bench.clock(), table.regret_log(deployed))]
    while bench.clock() < 60.0 * task.minutes:
        proposal = search.propose()
        config = to_configuration(proposal.assignment, device="CPU", api="async", fixed=setup.fixed)
        found = speed(config)
        rows.append(table.row_of(config))
        if isinstance(found, Failure):
            search.tell(proposal.number, failure=str(found))
            continue
        search.tell(proposal.number, value=math.log(found))
        if found > best:
            best, deployed = found, rows[-1]
            path.append((bench.clock(), table.regret_log(deployed)))
    is_tuned = best > hint
    return Replayed(
        is_tuned=is_tuned,
        is_hint=False,
        reason="",
        true_gain=table.gain_log(deployed),
        gain_over_replaced=table.gain_log(deployed),
        regret=table.regret_log(deployed),
        tried_regret=_tried_regret(table, rows),
        claim=math.log(best / hint) if is_tuned else None,
        interval=None,
        interval_truth=None,
        trials=len(rows),
        trials_to_near=_trials_to_near(table, rows),
        path=tuple(path),
        wall_s=bench.clock(),
    )


def _setup(task: Task) -> StudySetup:
    table = task.table
    study = Study(
        name=table.name,
        path=Path(table.name),
        text="",
        model=ModelSpec(path=table.name, folder=Path()),
        device="CPU",
        objective=Objective(metric="throughput"),
        space=SpaceSpec(is_auto=True),
        budget=Budget(minutes=task.minutes),
        seed=task.seed,
        sampler="auto" if task.strategy == "plain" else task.strategy,
    )
    parameters = {name: values for name, values in table.parameters.items() if len(values) > 1}
    space = Space(parameters=tuple(Parameter(name=name, values=values) for name, values in parameters.items()))
    hint = table.baselines["THROUGHPUT"].point
    return StudySetup(
        study=study,
        space=space,
        seeds=seeds(
            space,
            cpus=max((v for v in table.parameters.get("INFERENCE_NUM_THREADS", ()) if isinstance(v, int)), default=1),
            quota=None,
            throughput=table.resolve(baseline_configs(study)["THROUGHPUT"]),
            is_latency=False,
        ),
        fixed={n: v for n, v in hint.items() if n not in parameters and n.isupper() and v is not None},
    )


def _path(state: StudyState, table: Table) -> tuple[list[Row], tuple[tuple[float, float], ...]]:
    """Returns the trials in their order, and (time, regret) at every change of the best of search and final."""
    trials: dict[int, Row] = {}
    path: list[tuple[float, float]] = []
    evidence = state.reference.new_evidence()
    for line in state.log.sessions("search", "race", "final"):
        for number, config in zip(line.trials, line.session.configurations, strict=True):
            if number is not None:
                trials.setdefault(number, table.row_of(config))
        evidence.add(line)
        best = ranked(evidence.candidates.values())
        row = table.row_of(best[0].config) if best and best[0].value > 0.0 else table.reference
        if not path or path[-1][1] != table.regret_log(row):
            path.append((line.session.started_unix_s + line.session.wall_s, table.regret_log(row)))
    return list(trials.values()), tuple(path)


def _tried_regret(table: Table, rows: Sequence[Row]) -> float:
    """Returns the smallest regret of the rows and the reference, which needs no trial."""
    return min(map(table.regret_log, (*rows, table.reference)))


def _trials_to_near(table: Table, rows: Sequence[Row]) -> int | None:
    return next((i for i, row in enumerate(rows, start=1) if table.regret_log(row) <= NEAR), None)
