"""`tuner run` and `tuner measure`, put together: file, folder, locks, worker bench, phases, best.yaml.

The only module of the search side that measures on a real bench and writes what `deploy` reads.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tuner.bench.configuration import DeploymentConfig, Effective, Failure
from tuner.bench.host.energy import EnergyReader
from tuner.bench.protocol import ModelFacts
from tuner.bench.worker.pool import ProcessMode
from tuner.bench.worker.worker_bench import WorkerBench
from tuner.commands.plan import plan_events
from tuner.commands.record.keeping import keep_study
from tuner.commands.record.suggestions import suggested, warmed
from tuner.deploy.best import BestInput, BestModel, portable_path
from tuner.deploy.best_file import load_best, unheld_inputs, write_best
from tuner.deploy.front_file import write_front
from tuner.errors import BusyError, InputError, ModelError, NoAnswerError
from tuner.evidence.noise import Calibration
from tuner.evidence.state import StudyState
from tuner.model.host import HostFacts, cpu_list, host_facts, physical_cores
from tuner.model.locate import sha256
from tuner.model.spec import InputSpec
from tuner.outcome.best_config import Deployed, make_best
from tuner.outcome.pareto_front import knee_of, make_front
from tuner.outcome.past_study import circumstances
from tuner.outcome.study_report import StudyReport, read_finished
from tuner.phases.host_watch import PAUSE_LIMIT_S, PAUSE_SHARE, HostWatch
from tuner.phases.progress import (
    AnswersMayChange,
    Event,
    Measuring,
    Reporter,
    Status,
    StudyBegins,
    StudyFileWritten,
    StudyFinished,
    TornLineDropped,
)
from tuner.phases.runner import SessionRunner
from tuner.planning.feasibility import check_host
from tuner.planning.session_plan import BASELINE_WINDOW_LIMIT_S
from tuner.planning.slow_model import slow_model
from tuner.records.folder import not_left_empty, prepare, write_text
from tuner.records.identity import check_identity, read_environment, study_identity
from tuner.records.locks import locked
from tuner.records.noise_cache import NoiseCache, noise_cache
from tuner.records.past.past_study import Circumstances
from tuner.records.session_log import Log, open_log, read_log
from tuner.report.html.phase_pages import PhasePages, write_or_tell
from tuner.report.run_log import RunLog
from tuner.report.words import verdict as verdict_words
from tuner.report.words.answer import bound_words
from tuner.search.search_space import NO_PRECISION, make_setup, proof_sizes
from tuner.statistics.limits import bounds_of
from tuner.study.baselines import with_servers
from tuner.study.conditions import as_written, under
from tuner.study.file.device_checks import DeviceInspector, check_model_file
from tuner.study.file.loader import load_study, parse
from tuner.study.setup import KnownNoise, StudySetup
from tuner.study.study import Budget, Study

if TYPE_CHECKING:
    from tuner.search.optuna_study import Search


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Options that the command line adds to a study file; None keeps the file's budget."""

    results: Path
    minutes: float | None = None
    trials: int | None = None
    text: str | None = None
    """Text of the study file if the command line made it; None for a file that exists."""
    is_fresh: bool = False
    wait: bool = False
    warm_start: Path | None = None
    """Best.yaml of an earlier study, whose configuration is tried first."""
    has_record: bool = True
    """False to be suggested nothing by the record of studies, and to leave nothing to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A study whose model has run once on its device: nothing that follows can fail for a reason known before."""

    runner: SessionRunner
    facts: ModelFacts
    folder: Path
    model_sha256: str
    about: Circumstances


def run_study(path: Path, options: RunOptions, reporter: Reporter) -> StudyReport:
    """Starts or resumes a study, writes its best.yaml and returns what its folder holds then.

    A finished study is also read while another one measures. Raises TunerError.
    """
    try:
        return _run(path, options, reporter)
    except BusyError:
        study = _with_budget(load_study(path, options.text), options)
        folder = options.results / study.name
        found = None if options.is_fresh else read_finished(study, folder)
        if found is None:
            raise
        reporter.tell(StudyFinished())
        return found


def _run(path: Path, options: RunOptions, reporter: Reporter) -> StudyReport:
    with prepared_study(path, options, reporter, "run") as prepared:
        from tuner.phases.order import run_phases  # imports Optuna, for which a refused study need not wait

        runner, folder = prepared.runner, prepared.folder
        with _search(runner, folder) as search:
            result = run_phases(runner, search)
        runner.show("writing", Measuring())
        state, deployed = runner.state, _deployed(prepared)
        resolve = partial(_resolved, runner)
        if result.front is not None:
            front = make_front(state, result, deployed, resolve, verdict_words)
            write_front(folder / "front.yaml", front)
            best = knee_of(state, result, front, deployed, resolve)
        else:
            best = make_best(state, result, deployed, resolve(result.config))
        write_best(folder / "best.yaml", best)
        report = StudyReport.of(folder, state)
        write_or_tell(lambda: report, folder, runner.tell)
        if options.has_record:
            runner.tell(keep_study(state, result, prepared.about, folder))
        return report


def plan_study(path: Path, options: RunOptions, reporter: Reporter) -> list[Event]:
    """Returns what `tuner run` would do; nothing is timed. Raises TunerError."""
    with prepared_study(path, options, reporter, "plan") as prepared:
        return plan_events(prepared.runner)


Purpose = Literal["run", "plan", "measure"]


@contextmanager
def prepared_study(
    path: Path, options: RunOptions, reporter: Reporter, purpose: Purpose, *, batch_size: int = 1
) -> Iterator[Prepared]:
    """Yields a study that can begin: file, folder, locks, model, one inference and identity are in order.

    The folder is proved writable before OpenVINO is even imported, and earlier results are moved aside only when
    everything else is known to work. `plan` writes nothing; `measure` leaves what a study has written alone.
    `batch_size` is one more batch size that is to be proved legal. Raises TunerError.
    """
    if options.warm_start is not None:
        load_best(options.warm_start)  # what is wrong with the file is said before anything starts
    draft = parse(path, options.text)
    draft.check_host(host_facts())
    check_model_file(draft)
    inspector = DeviceInspector(draft)
    with inspector.everything_wrong():
        study = _with_budget(draft.study(), options)
    folder = options.results / study.name
    if purpose != "plan":
        prepare(folder)
    with locked(folder if purpose != "plan" else None, wait=options.wait, tell=reporter.tell), not_left_empty(folder):
        check_host(study, EnergyReader().refusal)
        reporter.show(Status(phase="preflight", remaining_s=None))
        with inspector.everything_wrong():
            inspector.check_device()
            draft.refuse_problems()
        with WorkerBench(
            study.model,
            seed=study.seed,
            conditions=study.conditions,
            mode=ProcessMode.for_metrics(study.objective.decided_by),
        ) as bench:
            with inspector.everything_wrong():
                facts = bench.inspect(study.device, proof_sizes(study, batch_size))
            _refuse_unheld(study, facts)
            yield _prepared(bench, study, facts, folder, options, reporter, purpose)


def _prepared(
    bench: WorkerBench,
    study: Study,
    facts: ModelFacts,
    folder: Path,
    options: RunOptions,
    reporter: Reporter,
    purpose: Purpose,
) -> Prepared:
    """Opens the record of a study whose model has run, and tells what was found before its phases begin."""
    host = under(host_facts(), study.conditions)
    study = with_servers(study, host, physical_cores(study.conditions.cpuset or cpu_list()))
    slow = slow_model(facts.inference_s, study.budget.minutes, longest_window_s=BASELINE_WINDOW_LIMIT_S)
    said: list[Event] = [event for event in (facts.state, facts.data, slow) if event is not None]
    said += [AnswersMayChange(parameter=name) for name in study.parameters_of_answers]
    setup = make_setup(study, facts, host, bench.resolve, said.append)
    digest = sha256(study.model)
    inputs, metrics = list(facts.inputs), "+".join(study.objective.metrics)
    cache = noise_cache(host, digest, inputs, study.device, metrics, as_written(study.conditions))
    setup = replace(setup, known_noise=cache.read(time.time()))
    if purpose == "run":
        if options.is_fresh:
            prepare(folder, is_fresh=True)
        log = _opened_log(folder, setup, facts, host, digest)
        said += [StudyFileWritten(path=folder / "study.yaml")] if options.text else []
        reporter = RunLog(inner=reporter, path=folder / "run.log")
        reporter = PhasePages(inner=reporter, folder=folder, read=lambda: StudyReport.of(folder, state))
    else:
        log = read_log(folder / "sessions.jsonl")
    about = circumstances(study, facts, host, digest)
    if purpose != "measure":
        setup = suggested(
            setup, log, about, said.append, folder=folder, has_record=options.has_record, may_write=purpose == "run"
        )
    setup = warmed(setup, options.warm_start, digest, said.append)
    said += [TornLineDropped()] if log.dropped_torn_line else []
    state = StudyState(setup=setup, log=log)
    for event in [StudyBegins(state=state, host=host), *said]:
        reporter.tell(event)
    watch = host_watch(bench, study.budget)
    runner = SessionRunner(
        state=state,
        bench=bench,
        reporter=reporter,
        clock=watch.clock,
        watch=watch,
        describe=verdict_words.verdict_words,
        remember=partial(_remember, cache, setup.known_noise),
    )
    return Prepared(runner=runner, facts=facts, folder=folder, model_sha256=digest, about=about)


def _opened_log(folder: Path, setup: StudySetup, facts: ModelFacts, host: HostFacts, digest: str) -> Log:
    """Opens the record of a run, which must be of this very study. Raises StudyChangedError and RecordError."""
    log = open_log(folder / "sessions.jsonl")
    identity = study_identity(setup, facts, host, digest)
    check_identity(folder, identity, asdict(host), is_started=bool(log.all_sessions()))
    write_text(folder / "study.yaml", setup.study.text)
    return log


def host_watch(bench: WorkerBench, budget: Budget) -> HostWatch:
    """Returns a watch over the real host whose pauses take at most a part of the budget."""
    limit_s = PAUSE_LIMIT_S
    if budget.minutes is not None:
        limit_s = min(limit_s, PAUSE_SHARE * 60 * budget.minutes)
    return HostWatch(now=time.perf_counter, sleep=time.sleep, sample_host=bench.load_over, limit_s=limit_s)


def _remember(cache: NoiseCache, known: KnownNoise | None, noise: Calibration) -> None:
    """Keeps the noise of this host for a day; never what was read itself, which would not grow older."""
    if noise.session_df > (known.df if known else 0):
        cache.write(KnownNoise(session_sd=noise.session_sd, df=noise.session_df), time.time())


def _with_budget(study: Study, options: RunOptions) -> Study:
    if options.minutes is not None and not math.isfinite(options.minutes):
        raise InputError(f"--minutes {options.minutes}: a budget is a finite number of minutes")
    budget = Budget(
        minutes=study.budget.minutes if options.minutes is None else options.minutes,
        trials=study.budget.trials if options.trials is None else options.trials,
    )
    return replace(study, budget=budget)


def _search(runner: SessionRunner, folder: Path) -> Search:
    from tuner.search.database.presentation import Presentation
    from tuner.search.database.study_database import StudyDatabase
    from tuner.search.optuna_study import Search

    """Returns a search without trials that will be mirrored in the folder's study.db."""
    setup, study = runner.state.setup, runner.state.study
    objective = study.objective
    shown = Presentation(space=setup.space, rows=objective.rows, levels=lambda: runner.state.reference.levels())
    limits = ", ".join(bound_words(bound) for limit in objective.limits for bound in bounds_of(limit))
    about = {"model": study.model.path, "device": study.device, "limits": limits or "none"}
    database = StudyDatabase(
        path=folder / "study.db",
        name=study.name,
        metrics=objective.metrics,
        tell=runner.tell,
        presentation=shown,
        about={**about, "values": "gains over the reference, times what it measured beside the other baselines"},
    )
    return Search(
        space=setup.space, sampler=study.sampler, seed=study.seed, metrics=len(objective.metrics), database=database
    )


def _deployed(prepared: Prepared) -> Deployed:
    """Returns what every file that this run writes has in common."""
    study, facts = prepared.runner.state.study, prepared.facts
    return Deployed(
        inputs=deployed_inputs(study, facts),
        model=BestModel(path=portable_path(study.model, prepared.folder), sha256=prepared.model_sha256),
        precision="" if facts.precision in NO_PRECISION else facts.precision,
        environment=read_environment(prepared.folder)["host"],
    )


def deployed_inputs(study: Study, facts: ModelFacts) -> dict[str, BestInput]:
    """Returns each input as best.yaml names it, with layout and range from the study, whatever it calls the input."""
    inputs = {}
    for given in facts.inputs:
        spec = study.model.inputs.get(given.get("given", given["name"]), InputSpec())
        inputs[given["name"]] = BestInput(
            shape=tuple(given["shape"]), batch_axis=given["batch_axis"], layout=spec.layout, range=spec.range
        )
    return inputs


def _refuse_unheld(study: Study, facts: ModelFacts) -> None:
    """Raises ModelError before anything is measured if best.yaml could not hold the model's inputs."""
    if problems := unheld_inputs(deployed_inputs(study, facts)):
        raise ModelError(
            f"best.yaml could not hold the inputs of {study.model.path!r}: {'; '.join(problems)}",
            advice="Rename the input in the model, or state its shape and layout in the study file.",
        )


def _resolved(runner: SessionRunner, config: DeploymentConfig) -> Effective:
    effective = runner.resolve(config)
    if isinstance(effective, Failure):
        raise NoAnswerError(f"the configuration to deploy no longer compiles: {effective}")
    return effective
