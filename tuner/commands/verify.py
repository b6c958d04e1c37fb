"""The command `tuner verify`: does the promise of a best.yaml still hold here, today?

Responsible for what is compared, and with what. The study's evidence is not touched: sessions are recorded in a
temporary folder that is removed in the end.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tuner.bench.configuration import Conditions, DeploymentConfig, Effective
from tuner.bench.host.energy import EnergyReader
from tuner.bench.measurement import ArrivalProcess
from tuner.bench.metrics import METRICS
from tuner.bench.own_parameters import OWN_PARAMETERS
from tuner.bench.worker.pool import ProcessMode
from tuner.bench.worker.worker_bench import WorkerBench
from tuner.commands.run import host_watch
from tuner.decision.verification import Promise
from tuner.deploy.apply import refused_properties
from tuner.deploy.best import Best
from tuner.deploy.best_file import load_best
from tuner.deploy.conditions import host_conditions
from tuner.deploy.differences import Differences, compare_host, compare_model
from tuner.errors import BestFileError, HostError, InputError, SignalError
from tuner.evidence.state import StudyState
from tuner.model.host import host_facts
from tuner.outcome.verified import VerifyReport
from tuner.phases.progress import DeploymentNote, Reporter, Status
from tuner.phases.runner import SessionRunner
from tuner.phases.verification import verify_sessions
from tuner.planning.feasibility import check_host
from tuner.records.locks import locked
from tuner.records.session_log import open_log
from tuner.report.words.verdict import verdict_words
from tuner.statistics.sequential_test import gain_log
from tuner.statistics.verification_test import TOLERANCE_PCT
from tuner.study.conditions import under
from tuner.study.file.scalars import read_cpuset
from tuner.study.setup import StudySetup
from tuner.study.study import Budget, Limit, Objective, SpaceSpec, Study


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyOptions:
    """Options that the command line adds to a best.yaml."""

    against: Path | None = None
    min_gain_pct: float | None = None
    """Gain that is asked for, instead of the one that the file promises."""
    minutes: float = 4.0
    wait: bool = False


def verify_best(path: Path, options: VerifyOptions, reporter: Reporter) -> VerifyReport:
    """Measures the configuration of a best.yaml beside its baseline, or beside that of another file.

    Raises TunerError: BestFileError for a file, ModelError for a model that is missing or another one, HostError for a
    host that cannot measure it.
    """
    _check_numbers(options)
    best = load_best(path)
    other = None if options.against is None else load_best(options.against)
    _check_model(best, other)
    promise = promise_of(best, options)
    _check_properties(best, other)
    conditions = _conditions(best)
    differences = Differences(strict=False)
    compare_host(best, under(host_facts(), conditions), differences)
    said = [*differences.messages, *_said(best, options)]
    for line in said:
        reporter.tell(DeploymentNote(text=line))
    study = study_of(best, promise, conditions, options.minutes)
    config = configuration_of(best)
    reference = baseline_of(best) if other is None else configuration_of(other)
    try:
        with _opened(study, options, reporter) as runner:
            effective = runner.resolve(config)
            if isinstance(effective, Effective) and (changed := _changed(best, effective)):
                said.append(f"the device makes something else of the configuration here: {', '.join(changed)}")
                reporter.tell(DeploymentNote(text=said[-1]))
            found = verify_sessions(runner, config, reference, promise, options.minutes)
    except (SignalError, KeyboardInterrupt) as error:
        raise SignalError(
            str(error) or "interrupted", advice="the same command starts again; nothing was written"
        ) from error
    return VerifyReport(
        path=path,
        against=options.against,
        best=best,
        reference="the other file" if other else best.baseline.name,
        promise=promise,
        differences=tuple(said),
        verified=found,
    )


def promise_of(best: Best, options: VerifyOptions) -> Promise:
    """Returns what is checked: the gain that is promised or asked for, and the limits that the file kept.

    Raises BestFileError for a file that promises nothing, or whose metrics or limits no study could have.
    """
    name = best.gain.metric if best.gain is not None and best.gain.metric else best.objective.metric
    if unknown := sorted({name, *(limit.metric for limit in best.constraints)} - METRICS.keys()):
        raise BestFileError(f"{best.source}: no metric is called {', '.join(unknown)}", advice="Correct the file.")
    required, tolerance = None, -gain_log(-TOLERANCE_PCT)
    if options.min_gain_pct is not None:
        required, tolerance = gain_log(options.min_gain_pct), 0.0
    elif options.against is not None:
        required = 0.0
    elif best.gain is not None:
        if best.gain.low_pct <= -100.0:
            raise BestFileError(f"{best.source}: gain.low_pct: expected more than -100", advice="Correct the file.")
        required = gain_log(best.gain.low_pct)
    limits = tuple(_limits(best, has_baseline=options.against is None))
    if required is None and not limits:
        raise BestFileError(
            f"{best.source} promises nothing that could be checked: its verdict is {best.verdict}, without a gain",
            advice="`--against OTHER.yaml` compares it with another file.",
        )
    return Promise(metric=METRICS[name], required=required, tolerance=tolerance, limits=limits)


def study_of(best: Best, promise: Promise, conditions: Conditions, minutes: float) -> Study:
    """Returns a study without a space, whose sessions are measured as those of the file's study were."""
    load = None
    if best.arrivals is not None:
        bounds = ((limit.metric, limit.max) for limit in best.constraints)
        keep = () if best.arrivals.rate_per_s else tuple((name, most) for name, most in bounds if most is not None)
        load = ArrivalProcess(pattern=best.arrivals.pattern, rate_per_s=best.arrivals.rate_per_s, keep=keep)
    return Study(
        name=best.study,
        path=best.source or Path("best.yaml"),
        text="",
        model=best.spec(),
        device=best.device,
        objective=Objective(metric=promise.metric.name, limits=promise.limits),
        space=SpaceSpec(is_auto=False),
        budget=Budget(minutes=minutes),
        conditions=conditions,
        load=load,
        callers=best.callers,
    )


def configuration_of(best: Best) -> DeploymentConfig:
    """Returns what a file deploys."""
    return DeploymentConfig(
        device=best.device,
        properties=best.properties,
        batch_size=best.batch_size,
        infer_requests=best.infer_requests,
        api=best.api,
        replicas=best.replicas,
        affinity=best.affinity,
    )


def baseline_of(best: Best) -> DeploymentConfig:
    """Returns the reference that a file names."""
    own = best.baseline
    return DeploymentConfig(
        device=best.device,
        properties=own.properties,
        batch_size=own.batch_size,
        infer_requests=own.infer_requests,
        api=own.api or best.api,
        replicas=own.replicas or best.replicas,
        affinity=own.affinity or best.affinity,
    )


@contextmanager
def _opened(study: Study, options: VerifyOptions, reporter: Reporter) -> Iterator[SessionRunner]:
    """Yields a runner on this host, once the model has run on its device."""
    with (
        tempfile.TemporaryDirectory(prefix="tuner-verify-") as temporary,
        locked(Path(temporary) / "verify", wait=options.wait, tell=reporter.tell),
    ):
        check_host(study, EnergyReader().refusal)
        reporter.show(Status(phase="preflight", remaining_s=None))
        mode = ProcessMode.for_metrics(study.objective.decided_by)
        with WorkerBench(study.model, conditions=study.conditions, mode=mode) as bench:
            bench.inspect(study.device, ())
            quota = under(host_facts(), study.conditions).cpu_quota
            log = open_log(Path(temporary) / "verify.jsonl")
            watch = host_watch(bench, study.budget)
            yield SessionRunner(
                state=StudyState(setup=StudySetup(study=study, cpu_quota=quota), log=log),
                bench=bench,
                reporter=reporter,
                clock=watch.clock,
                watch=watch,
                describe=verdict_words,
            )


def _check_numbers(options: VerifyOptions) -> None:
    if not math.isfinite(options.minutes) or options.minutes <= 0.0:
        raise InputError(f"--minutes {options.minutes}: a finite number of minutes above 0")
    given = options.min_gain_pct
    if given is not None and (not math.isfinite(given) or given <= -100.0):
        raise InputError(f"--min-gain {given}: a finite gain in per cent, above -100")


def _check_model(best: Best, other: Best | None) -> None:
    """Raises ModelError for a model that is missing or another one, InputError for files of different models."""
    compare_model(best, best.spec(), Differences(strict=True))
    if other is None:
        return
    if other.model.sha256 != best.model.sha256:
        raise InputError(f"{best.source} and {other.source} were tuned for different models", advice="Compare like.")
    if other.inputs.keys() != best.inputs.keys() or any(
        other.inputs[name].shape != given.shape for name, given in best.inputs.items()
    ):
        raise InputError(f"{best.source} and {other.source} have different inputs", advice="Compare like.")
    if other.device != best.device:
        raise InputError(f"{best.source} is for {best.device}, {other.source} for {other.device}")


def _check_properties(best: Best, other: Best | None) -> None:
    """Raises BestFileError for properties that this very OpenVINO and CPU never took: the file was edited."""
    for file in (best, *([other] if other else [])):
        host, found = host_facts(), file.environment
        is_measured_here = (found.get("cpu_model"), found.get("openvino")) == (host.cpu_model, host.openvino)
        both = [file, replace(file, properties=file.baseline.properties)]
        wrong = dict.fromkeys(line for one in both for line in refused_properties(one)) if is_measured_here else ()
        if wrong:
            raise BestFileError(
                "\n".join(f"{file.source}: {line}" for line in wrong),
                advice="It was measured with this OpenVINO, which refuses that: was the file edited?",
            )


def _conditions(best: Best) -> Conditions:
    """Returns the conditions that are emulated. A command for background load is text of a file, and is not run.

    Raises BestFileError for wrong values, and HostError for CPUs that this host does not have.
    """
    given = host_conditions(best)
    cpus = None if given.cpuset is None else sorted(read_cpuset(given.cpuset))
    here = read_cpuset(host_facts().cpu_list)
    if cpus is not None and not here.issuperset(cpus):
        raise HostError(
            f"it was measured on the CPUs {given.cpuset}, and this host allows {host_facts().cpu_list}",
            advice="Tune on this host, or take `cpuset` out of the file's `deployment`.",
        )
    replicas = best.deployment.get("replicas", 1)
    if not OWN_PARAMETERS["replicas"].is_legal(replicas):
        raise BestFileError(
            f"{best.source}: deployment.replicas: expected {OWN_PARAMETERS['replicas'].allowed}, got {replicas!r}",
            advice="Correct the file.",
        )
    return Conditions(
        cpus=best.deployment.get("cpus"),
        cpuset=None if cpus is None else tuple(cpus),
        memory_bytes=given.memory_bytes,
        replicas=replicas,
    )


def _limits(best: Best, *, has_baseline: bool) -> Iterator[Limit]:
    """Yields the limits that can be checked: kept in the study, and ratios only beside the file's baseline.

    A search for the largest rate keeps its limits by itself.
    """
    for found in best.constraints:
        bounds = {name: getattr(found, name) for name in ("min", "max", "min_ratio", "max_ratio")}
        if any(bound is not None and bound <= 0.0 for bound in bounds.values()):
            raise BestFileError(f"{best.source}: {found}: a limit is above 0", advice="Correct the file.")
        is_ratio = found.min_ratio is not None or found.max_ratio is not None
        finds_rate = best.arrivals is not None and best.arrivals.rate_per_s is None
        if found.kept is not False and not finds_rate and (has_baseline or not is_ratio):
            yield Limit(metric=found.metric, **bounds)


def _said(best: Best, options: VerifyOptions) -> Iterator[str]:
    """Yields what is not checked, or not as it was measured."""
    if best.broken:
        yield f"limits that the study could not keep are not checked: {best.broken}"
    if best.deployment.get("background") is not None:
        yield "it was measured beside a background load, which is not started here: start it yourself"
    ratios = [found for found in best.constraints if found.min_ratio is not None or found.max_ratio is not None]
    if ratios and options.against is not None:
        yield "limits relative to the baseline are not checked: the baseline does not run"


def _changed(best: Best, effective: Effective) -> list[str]:
    """Returns the properties that the device reports otherwise than when the file was written."""
    here = effective.properties
    return [f"{name} {here[name]} (was {was})" for name, was in best.effective.items() if here.get(name, was) != was]
