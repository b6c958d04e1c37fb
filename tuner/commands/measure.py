"""The command `tuner measure`: a configuration and the baselines, or these alone, in fresh processes; no search.

Responsible for its sessions and one t-interval; its evidence is kept apart from the study's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tuner.bench.configuration import DeploymentConfig, Effective, Failure
from tuner.bench.measurement import Session, Windows
from tuner.bench.metrics import Metric, by_callers, request_count
from tuner.bench.own_parameters import OWN_PARAMETERS
from tuner.bench.protocol import ModelFacts, Role, SessionMember, StopRule
from tuner.bench.value import Value
from tuner.commands.run import RunOptions, prepared_study
from tuner.errors import InputError, NoAnswerError, StudyFileError
from tuner.evidence.baseline_ranking import rank_baselines
from tuner.evidence.pooled_metrics import metrics_of, pool, pooled
from tuner.evidence.session_cost import WINDOW_S, usual_cost
from tuner.evidence.state import StudyState
from tuner.outcome.measured import MEASURED, Measured
from tuner.phases.progress import Measuring, Reporter
from tuner.phases.runner import SessionRunner
from tuner.planning.session_plan import PROBES, plan_session
from tuner.records.session_log import open_log
from tuner.report.outcome import column_title
from tuner.statistics.sequential_test import interval
from tuner.statistics.session_effect import session_value
from tuner.study.file.device_checks import probe_properties
from tuner.study.file.problems import closest
from tuner.study.file.yaml_document import read_document
from tuner.study.study import Objective, Study

SESSIONS, BLOCKS, MOST_BLOCKS = 4, 4, 60
"""Numbers of sessions, of blocks of each, and of blocks until a percentile has its requests.

Sixty blocks of four members take up to two minutes.
"""

ALPHA = 0.025
"""One-sided error of a plain 95 % interval: nothing was selected, and there is one look."""


def parse_sets(sets: Sequence[str]) -> dict[str, Value]:
    """Returns {"NUM_STREAMS": 2} for `NUM_STREAMS=2`, values read as in a study file. Raises InputError."""
    assignment: dict[str, Value] = {}
    for text in sets:
        name, equals, value = text.partition("=")
        if not equals or not name or not value.strip():
            raise InputError(f"--set {text}: write NAME=VALUE, as in --set NUM_STREAMS=2; null leaves a property unset")
        if name in assignment:
            raise InputError(f"--set {name} is given twice")
        if not name.isupper() and name not in OWN_PARAMETERS:
            close = closest(name, OWN_PARAMETERS)
            question = f"; did you mean {close}?" if close else ""
            ours = ", ".join(OWN_PARAMETERS)
            raise InputError(f"--set {name}: neither an OpenVINO property (UPPER_CASE) nor one of {ours}{question}")
        found = _scalar(text, value)
        if name in OWN_PARAMETERS and not OWN_PARAMETERS[name].is_legal(found):
            raise InputError(f"--set {text}: {name} is {OWN_PARAMETERS[name].allowed}")
        assignment[name] = found
    return assignment


def measure_study(path: Path, sets: Sequence[str], options: RunOptions, reporter: Reporter) -> Measured:
    """Measures the configuration of `sets` against the study's baselines; without `sets` the baselines alone.

    Raises TunerError.
    """
    assignment = parse_sets(sets)
    batch_size = assignment.get("batch_size", 1)
    assert isinstance(batch_size, int)
    with prepared_study(path, options, reporter, "measure", batch_size=batch_size) as prepared:
        state = StudyState(setup=prepared.runner.state.setup, log=open_log(prepared.folder / "measure.jsonl"))
        runner = replace(prepared.runner, state=state)
        config = _configuration(runner, assignment, prepared.facts) if assignment else None
        baselines = _distinct(state.setup.baselines, runner.resolve)
        _refuse_single(config, baselines)
        sessions = _measure_sessions(runner, config, baselines)
        return _measured(state.study.objective, config, baselines, sessions, prepared.folder)


def _configuration(runner: SessionRunner, assignment: Mapping[str, Value], facts: ModelFacts) -> DeploymentConfig:
    """Returns the configuration of an assignment.

    Raises InputError for what the device or the model does not allow, NoAnswerError for what does not compile.
    """
    state = runner.state
    asked = {name: [] if v is None else [v] for name, v in assignment.items() if name not in OWN_PARAMETERS}
    if unknown := probe_properties(state.study.device, asked):
        raise InputError("\n".join(f"--set {name}: {message}" for name, message in unknown.items()))
    config = state.setup.configuration(assignment)
    if config.batch_size > 1 and state.study.load is not None:
        raise InputError("a request that arrives is one sample: under this load batch_size is 1")
    if state.study.callers and "infer_requests" in assignment:
        raise InputError("each caller has a request of its own: leave infer_requests out")
    if config.batch_size > 1 and state.study.callers:
        raise InputError("a caller sends one sample and waits for its answer: under `callers` batch_size is 1")
    if config.batch_size > 1 and not facts.batch_legal:
        raise InputError(f"batch_size {config.batch_size} is not legal for this model: {facts.batch_reason}")
    resolved = runner.resolve(config)
    if isinstance(resolved, Failure):
        raise NoAnswerError(f"this configuration does not compile: {resolved}")
    return config


def _refuse_single(config: DeploymentConfig | None, baselines: Mapping[str, DeploymentConfig]) -> None:
    """Raises InputError if the baselines alone are asked for, and there is nothing to compare."""
    if config is None and len(baselines) == 1:
        raise InputError(
            f"every baseline is one configuration here, that of {next(iter(baselines))}: there is nothing to compare",
            advice="measure another one beside it: --set NUM_STREAMS=2",
        )


def _measure_sessions(
    runner: SessionRunner, config: DeploymentConfig | None, baselines: Mapping[str, DeploymentConfig]
) -> list[Session]:
    """Measures the baselines, and the configuration if there is one, in fresh processes each time.

    Raises NoAnswerError.
    """
    state, metric = runner.state, runner.state.study.objective.row
    stop = StopRule(
        min_windows=PROBES if metric.is_session_level else BLOCKS,
        min_requests=metric.min_requests,
        ends_together=True,
    )
    members = [SessionMember(config=baseline, role=Role.BASELINE) for baseline in baselines.values()]
    if config is not None:
        members.insert(0, SessionMember(config=config, role=Role.REFERENCE))
    sessions: list[Session] = []
    for i in range(SESSIONS):
        measuring = Measuring(
            configurations=() if config is None else (config,),
            baselines=tuple(baselines),
            session=i + 1,
            max_sessions=SESSIONS,
        )
        spent_s = sum(session.wall_s for session in sessions)
        remaining_s = (SESSIONS - i) * (spent_s / i if i else _session_s(state.study, len(members)))
        total_s = spent_s + remaining_s
        runner.show("measure", measuring, remaining_s=remaining_s, total_s=total_s, differing=frozenset())
        plan = plan_session(state, None, "measure", blocks=MOST_BLOCKS, is_fresh=True, stop=stop)
        session = runner.measure(members, plan).session
        if config is not None and isinstance(session.members[0], Failure):
            raise NoAnswerError(f"this configuration fails: {session.members[0]}")
        _refuse_few_requests(metric, session)
        sessions.append(session)
    return sessions


def _session_s(study: Study, members: int) -> float:
    """Returns the seconds that a session takes on a usual host; the first session shows what it takes here."""
    cost = usual_cost(
        replicas=study.conditions.replicas,
        has_own_processes=study.has_own_processes,
        windows=study.windows_per_block,
    )
    return cost.of(BLOCKS, WINDOW_S, members)


def _measured(
    objective: Objective,
    config: DeploymentConfig | None,
    baselines: Mapping[str, DeploymentConfig],
    sessions: Sequence[Session],
    folder: Path,
) -> Measured:
    """Returns what the sessions show. Raises NoAnswerError if one of them has no value against the reference."""
    metric = objective.row
    members = [dict(zip(baselines, session.members[-len(baselines) :], strict=True)) for session in sessions]
    reference = rank_baselines(objective, *members).reference
    places = {name: index - len(baselines) for index, name in enumerate(baselines)}
    if config is None:
        values = {n: _values(metric, sessions, i, places[reference]) for n, i in places.items() if n != reference}
    else:
        values = {name: _values(metric, sessions, 0, index) for name, index in places.items()}
    if len(values.get(reference, sessions)) < len(sessions):
        raise NoAnswerError(
            f"{len(sessions) - len(values[reference])} of {len(sessions)} sessions gave no {metric.name} for both "
            "sides",
            advice="a baseline failed beside it, or a window was empty; sessions are in measure.jsonl",
        )
    ours = [member for session in sessions if isinstance(member := session.members[0], Windows)]
    pools = {name: pooled(sessions, one) for name, one in baselines.items()}
    columns = {} if config is None else {MEASURED: pool(ours)}
    columns |= {column_title(name): member for name, member in pools.items() if member is not None}
    return Measured(
        config=config,
        metric=metric.name,
        reference=reference,
        gains={name: interval(found, ALPHA) for name, found in values.items() if len(found) == len(sessions)},
        metrics=None if config is None else metrics_of(pool(ours)),
        baselines={name: metrics_of(member) for name, member in pools.items() if member is not None},
        folder=folder,
        at_callers=_at_callers(metric, columns),
    )


def _at_callers(metric: Metric, columns: Mapping[str, Windows]) -> dict[int, dict[str, float]]:
    """Returns the metric of each column at each number of callers; empty unless there are several numbers."""
    found: dict[int, dict[str, float]] = {}
    for name, member in columns.items():
        for group in by_callers(member.windows):
            if (callers := group[0].callers) is not None and metric.is_in(group):
                found.setdefault(callers, {})[name] = metric.read(group)
    return found if len(found) > 1 else {}


def _values(metric: Metric, sessions: Sequence[Session], index: int, other: int) -> list[float]:
    """Returns the log-ratio of the member at `index` to the one at `other`, for each session that has both."""
    pairs = [(session.members[index], session.members[other]) for session in sessions]
    found = [
        session_value(metric, ours, theirs)
        for ours, theirs in pairs
        if isinstance(ours, Windows) and isinstance(theirs, Windows)
    ]
    return [value for value in found if value is not None]


def _refuse_few_requests(metric: Metric, session: Session) -> None:
    """Raises NoAnswerError for too few requests: after the first session, because three more say no more."""
    counts = [request_count(m.windows) for m in session.members if isinstance(m, Windows)]
    if counts and (fewest := min(counts[0], max(counts[1:], default=counts[0]))) < metric.min_requests:
        raise NoAnswerError(
            f"a claim about {metric.name} needs {metric.min_requests} requests on each side of a session, "
            f"there were {fewest}",
            advice="the model is too slow for this percentile here; decide by a lower one",
        )


def _distinct(
    baselines: Mapping[str, DeploymentConfig], resolve: Callable[[DeploymentConfig], Effective | Failure]
) -> dict[str, DeploymentConfig]:
    """Returns one baseline of each effective configuration: on a CPU LATENCY is the default under another name."""
    found: dict[str, DeploymentConfig] = {}
    seen: set[str] = set()
    for name, config in baselines.items():
        effective = resolve(config)
        key = str(effective) if isinstance(effective, Failure) else effective.key
        if key not in seen:
            seen.add(key)
            found[name] = config
    return found


def _scalar(text: str, value: str) -> Value:
    """Returns one value as a study file would have it. Raises InputError."""
    try:
        document = read_document(f"value: {value}".encode(), name="--set")
    except StudyFileError as error:
        raise InputError(f"--set {text}: the value cannot be read: {error.problems[0].message}") from error
    found = document.value.get("value")
    is_finite = not isinstance(found, float) or math.isfinite(found)
    if document.problems or len(document.value) != 1 or isinstance(found, list | dict) or not is_finite:
        raise InputError(f"--set {text}: a value is one finite number, word, true, false or null")
    return found
