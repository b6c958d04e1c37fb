"""The `load` of a study file: its rules, what they mean for objective, batch and limits, and its values.

Knows the document's sections; neither when requests arrive nor who serves them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from tuner.bench.arrivals import LOADS
from tuner.bench.metrics import BACKLOG_AT_MOST_PCT, LOAD_AT_MOST_PCT, METRICS
from tuner.bench.protocol import Load
from tuner.study.block import ArrivalsBlock, LoadBlock, ObjectiveBlock
from tuner.study.document import NodePath
from tuner.study.problem import ProblemList, listed
from tuner.study.study import Limit, Objective

MAX_RATE = "max_rate_per_s"
OF_ARRIVALS = ("backlog_pct", "load_pct")
"""Metrics that only arriving requests have."""
STABLE = (Limit(metric="backlog_pct", max=BACKLOG_AT_MOST_PCT), Limit(metric="load_pct", max=LOAD_AT_MOST_PCT))
"""Under a given rate every study has these limits: a configuration that cannot keep up is no answer, whatever its
latency was in the few seconds that it was watched."""


def check_load(problems: ProblemList) -> None:
    """Everything that the load says of itself and of other sections."""
    given = problems.find(("load",))
    arrivals = _check_arrivals(problems, given) if isinstance(given, Mapping) else None
    # A load that is wrong itself is no ground to judge by.
    if given is not None and not problems.is_right(("load",)):
        return
    _check_metrics(problems, arrivals)
    if arrivals is not None and problems.find(("objectives",)) is not None:
        problems.at_key(("load",), "several objectives go with the closed loop alone; give one `objective`")
    if arrivals is not None:
        _check_batches(problems)


def _check_arrivals(problems: ProblemList, given: Mapping[str, object]) -> ArrivalsBlock | None:
    path: NodePath = ("load",)
    names = [name for name in given if name in LOADS]
    if len(names) > 1:
        problems.at_key((*path, names[1]), f"a load has one pattern; {names[0]} is already given")
    if not names and not problems.has_unknown(path) and not problems.is_spoilt(path):
        problems.at_key(path, f"the load needs a pattern: {listed(list(LOADS))}; or write `load: closed_loop`")
    block = problems.block(ArrivalsBlock, (*path, names[0])) if names else None
    if block is None:
        return None
    found = block.model_fields_set
    if len(found) == 2:
        problems.at_key((*path, names[0], "find_max"), "arrivals have one of rate_per_s and find_max")
    if not found and not problems.has_unknown((*path, names[0])):
        message = "arrivals need one of rate_per_s and find_max, such as `rate_per_s: 120`"
        problems.at_key((*path, names[0]), message)
    return block


def _check_metrics(problems: ProblemList, arrivals: ArrivalsBlock | None) -> None:
    finds_max = arrivals is not None and arrivals.find_max is True
    named = list(_named_metrics(problems))
    for path, name in named:
        is_objective = len(path) == 2
        at = problems.at_value if is_objective else problems.at_key
        if name == MAX_RATE and not finds_max:
            at(path, f"{MAX_RATE} is what `load: {{poisson: {{find_max: true}}}}` looks for; this load does not")
        elif name == MAX_RATE and not is_objective:
            at(path, f"{MAX_RATE} is the objective here and no limit")
        elif name in OF_ARRIVALS and arrivals is None:
            at(
                path,
                f"{name} needs requests that arrive by themselves, such as `load: {{poisson: {{rate_per_s: 120}}}}`",
            )
        elif METRICS[name].needs_start_up and arrivals is not None:
            at(path, f"{name} is about the start of a process, before any request arrives; leave the load out")
        elif name == "throughput" and is_objective and arrivals is not None:
            at(path, "under arriving requests the throughput is the rate they arrive at; minimize a latency instead")
        elif finds_max and is_objective and name != MAX_RATE:
            at(path, f"with find_max the objective is `maximize: {MAX_RATE}`")
        elif finds_max and not is_objective and not _is_latency_maximum(problems, path):
            at(path, "with find_max the limits are `max` of latencies, which every rate is tried against")
    has_limits = any(len(path) == 3 for path, _ in named)
    if finds_max and not has_limits and problems.is_right(("objective",)):
        message = "find_max needs a latency limit, such as `subject_to: {latency_p95_ms: {max: 50}}`"
        problems.at_key(("objective",), message)


def _named_metrics(problems: ProblemList) -> Iterator[tuple[NodePath, str]]:
    objective = problems.find(("objective",))
    if not isinstance(objective, Mapping):
        return
    for key in ("maximize", "minimize"):
        is_metric = isinstance(objective.get(key), str) and objective[key] in METRICS
        if is_metric and problems.is_right(("objective", key)):
            yield ("objective", key), objective[key]
    limits = objective.get("subject_to")
    for name in limits if isinstance(limits, Mapping) else ():
        if name in METRICS and problems.is_right(("objective", "subject_to", name)):
            yield ("objective", "subject_to", name), name


def _is_latency_maximum(problems: ProblemList, path: NodePath) -> bool:
    bounds = problems.find(path)
    return str(path[-1]).startswith("latency_") and isinstance(bounds, Mapping) and set(bounds) == {"max"}


def _check_batches(problems: ProblemList) -> None:
    """Each arrival is one sample: who waits for others to fill a batch is another system."""
    message = "a request that arrives is one sample: under this load batch_size is 1"
    for key in ("choices", "low", "high"):
        path: NodePath = ("space", "batch_size", key)
        values = problems.find(path)
        for value in values if isinstance(values, list) else (values,):
            if isinstance(value, int) and not isinstance(value, bool) and value > 1 and problems.is_right(path):
                problems.at_value(path, message)
                break
    baselines = problems.find(("baselines",))
    for name in baselines if isinstance(baselines, Mapping) else ():
        path = ("baselines", name, "batch_size")
        size = problems.find(path)
        if isinstance(size, int) and size > 1 and problems.is_right(path):
            problems.at_value(path, message)


def load_of(block: LoadBlock, objective: ObjectiveBlock | None) -> Load | None:
    """None for the closed loop. Where the largest rate is looked for, the limits are what each rate has to keep."""
    for pattern in LOADS:
        arrivals: ArrivalsBlock | None = getattr(block, pattern)
        if arrivals is not None:
            limits = objective.subject_to.items() if arrivals.find_max and objective is not None else ()
            keep = tuple((name, limit.max) for name, limit in limits if limit.max is not None)
            return Load(pattern=pattern, rate_per_s=arrivals.rate_per_s, keep=keep)
    return None


def objective_under(objective: Objective, block: LoadBlock) -> Objective:
    """The objective with what the load adds to its limits, or takes: a rate that is looked for keeps them by itself."""
    arrivals = block.poisson or block.constant
    if arrivals is None:
        return objective
    if arrivals.find_max:
        return replace(objective, limits=())
    named = {limit.metric for limit in objective.limits}
    return replace(objective, limits=(*objective.limits, *(limit for limit in STABLE if limit.metric not in named)))
