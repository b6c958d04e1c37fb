"""Builds the setup of a study for its model, device and host: space, seeds and pinned precision.

Responsible for what a device allows. Must not open a bench or measure anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tuner.bench.configuration import Conditions, DeploymentConfig, Effective, Failure
from tuner.bench.protocol import ModelFacts
from tuner.errors import ModelError
from tuner.model.host import HostFacts, has_smt, is_hybrid
from tuner.search.auto_space import SpaceFacts, auto_space, extend
from tuner.search.seeds import merged, seeds
from tuner.study.baselines import baseline_configs
from tuner.study.setup import StudySetup
from tuner.study.space import Parameter, Space
from tuner.study.study import Study

PROOF_BATCH = 4
"""Batch size that is proved legal and stands for all others.

Four different samples show a reshape that folds the batch into the results (tuner/README.md, batching).
"""

NO_PRECISION = ("unreadable", "dynamic", "")
"""Precisions that a device reports without naming one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLeavesSpace:
    """Batch sizes are no part of the space, although the study would search them."""

    reason: str | None
    """Reason that the proof of batching gives; None if requests arrive by themselves."""


def make_setup(
    study: Study,
    facts: ModelFacts,
    host: HostFacts,
    resolve: Callable[[DeploymentConfig], Effective | Failure],
    tell: Callable[[BatchLeavesSpace], None],
    *,
    root: Path = Path("/"),
) -> StudySetup:
    """Returns the setup of a study: the space that device, host and model allow, its seeds, the pinned precision.

    `resolve` compiles a configuration without timing it; `tell` receives an event if batch sizes leave the space.
    The kinds of CPUs are read off the files below `root`.
    Raises ModelError for a baseline with a batch that changes results.
    """
    is_latency = study.is_single
    if study.load is not None and study.space.is_auto:
        tell(BatchLeavesSpace(reason=None))
    elif not facts.batch_legal and facts.batch_reason:
        tell(BatchLeavesSpace(reason=facts.batch_reason))
    searched = next((p.values for p in study.space.parameters if p.name == "replicas"), ())
    replicas = max(study.conditions.replicas, *(n for n in searched if isinstance(n, int)), 1)
    space = _space(study, facts, host, root, replicas)
    _refuse_batches(study, facts)
    throughput = resolve(baseline_configs(study)["THROUGHPUT"])
    ask = partial(
        seeds,
        space,
        cpus=host.cpus_allowed,
        quota=host.cpu_quota,
        throughput=throughput if isinstance(throughput, Effective) else None,
        replicas=replicas,
        replica_quota=_replica_quota(study.conditions, host, replicas),
    )
    # A front has two ends, and so have callers that share the CPUs: seeds for throughput and seeds for latency.
    has_two_ends = (study.objective.has_several and not is_latency) or (study.most_callers or 1) > 1
    kinds = (False, True) if has_two_ends else (is_latency,)
    ends = [ask(is_latency=kind) for kind in kinds]
    return StudySetup(
        study=study,
        space=space,
        seeds=merged(ends),
        fixed=_pinned_precision(space, facts),
        cpu_quota=host.cpu_quota,
    )


def _space(study: Study, facts: ModelFacts, host: HostFacts, root: Path, replicas: int) -> Space:
    """Returns the space of the study file, with the parameters of `auto` where the file asks for them."""
    if study.space.is_auto:
        cpus = host.cpus_allowed if host.cpu_quota is None else min(host.cpus_allowed, math.ceil(host.cpu_quota))
        facts_of_space = SpaceFacts(
            device=study.device,
            is_latency=study.is_single,
            callers=study.most_callers or 1,
            is_open=study.load is not None,
            cpus=cpus,
            is_batch_legal=facts.batch_legal and not study.is_single and study.load is None,
            has_smt=has_smt(root),
            is_hybrid=is_hybrid(root),
            device_properties=facts.device_properties,
            replicas=replicas,
        )
        space = extend(auto_space(facts_of_space), study.space.parameters)
    else:
        space = Space(parameters=study.space.parameters)
    return space if facts.batch_legal else Space(parameters=tuple(map(_without_batches, space.parameters)))


def _refuse_batches(study: Study, facts: ModelFacts) -> None:
    """Raises ModelError for a baseline with a batch that changes results."""
    for name, baseline in study.baselines.items():
        if baseline.batch_size > 1 and not facts.batch_legal:
            raise ModelError(
                f"baseline {name}: batch_size {baseline.batch_size} is not legal for this model: {facts.batch_reason}",
                advice="a batch that changes results is no baseline; take it out of the study file",
            )


def _replica_quota(conditions: Conditions, host: HostFacts, replicas: int) -> float | None:
    """Returns the CPUs of each replica: the stated quota, or a share of this process's; None without a quota."""
    if conditions.cpus is not None or host.cpu_quota is None:
        return conditions.cpus
    return host.cpu_quota / replicas


def _pinned_precision(space: Space, facts: ModelFacts) -> dict[str, str | int | float | bool]:
    """Returns the precision that the device uses by itself as a property, unless the space decides about it."""
    names = {p.name for p in space.parameters}
    if facts.precision in NO_PRECISION or names & {"INFERENCE_PRECISION_HINT", "EXECUTION_MODE_HINT"}:
        return {}
    return {"INFERENCE_PRECISION_HINT": facts.precision}


def _without_batches(parameter: Parameter) -> Parameter:
    return replace(parameter, values=(1,)) if parameter.name == "batch_size" else parameter


def proof_sizes(study: Study, batch_size: int) -> list[int]:
    """Returns the batch sizes to prove legal: one for all if the space, a baseline or `batch_size` has a batch."""
    offered = [v for p in study.space.parameters if p.name == "batch_size" for v in p.values if isinstance(v, int)]
    offered += [batch_size, *(b.batch_size for b in study.baselines.values())]
    explicit = [size for size in offered if size > 1]
    if explicit:
        return [max(min(explicit), min(PROOF_BATCH, max(explicit)))]
    names = {p.name for p in study.space.parameters}
    wants_auto = study.space.is_auto and "batch_size" not in names and not (study.is_single or study.load)
    return [PROOF_BATCH] if wants_auto else []
