"""Makes the entry of a finished study in the record of studies: its circumstances and the best few configurations.

Responsible for choosing them. Must not know files.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from tuner.bench.configuration import DeploymentConfig
from tuner.bench.own_parameters import OWN_PARAMETERS
from tuner.bench.protocol import ModelFacts
from tuner.decision.result import Result
from tuner.evidence.candidates import ranked_for
from tuner.evidence.state import StudyState
from tuner.model.host import HostFacts
from tuner.records.past.past_study import Callers, Circumstances, PastConfiguration, PastModel, PastStudy
from tuner.statistics.sequential_test import gain_pct
from tuner.study.conditions import as_written
from tuner.study.study import Study

BEST_FEW = 3
"""Number of configurations that are kept of a study: as many as one later study is suggested."""


def circumstances(study: Study, facts: ModelFacts, host: HostFacts, digest: str) -> Circumstances:
    """Returns what a study is about.

    `host` is the host as one replica finds it, `digest` the sha256 of the model.
    """
    stated = as_written(study.conditions)
    if "background" in stated:
        stated["background"] = True  # a command may hold secrets
    return Circumstances(
        model=PastModel(
            name=study.model.path,
            sha256=digest,
            inputs={given["name"]: tuple(given["shape"]) for given in facts.inputs},
            operations=facts.operations,
            weight_bytes=facts.weight_bytes,
        ),
        device=study.device,
        metrics=study.objective.metrics,
        limits=tuple(sorted({limit.metric for limit in study.objective.limits})),
        callers=_callers(study),
        replicas=study.conditions.replicas,
        deployment=stated,
        cpu_model=host.cpu_model,
        cpus_allowed=host.cpus_allowed,
        cpu_quota=host.cpu_quota,
        openvino=host.openvino,
    )


def past_study(state: StudyState, result: Result, about: Circumstances, key: str) -> PastStudy:
    """Returns what later studies may know of a study with a verdict; `key` is its identity."""
    ended = max(line.session.started_unix_s + line.session.wall_s for line in state.log.all_sessions())
    few = itertools.islice(_best(state, result), BEST_FEW)
    return PastStudy(key=key, name=state.study.name, ended_unix_s=round(ended, 3), about=about, best=tuple(few))


def _best(state: StudyState, result: Result) -> Iterator[PastConfiguration]:
    """Yields what is deployed if that is a candidate, then the other candidates, the best one first.

    A candidate has to keep the limits and, in a study with one objective, to be better than the reference.
    """
    if result.is_tuned:
        found = result.confirmation.interval if result.confirmation else None
        gain = gain_pct(found.estimate) if found else 0.0
        yield _kept(result.config, gain, is_proved=found is not None and found.low > 0)
    objective = state.study.objective
    for candidate in ranked_for(objective, list(state.candidates.values())):
        is_better = objective.has_several or candidate.value > 0
        is_deployed = result.is_tuned and candidate.config == result.config
        if candidate.is_feasible and is_better and not is_deployed:
            yield _kept(candidate.config, gain_pct(candidate.value), is_proved=False)


def _kept(config: DeploymentConfig, gain: float, *, is_proved: bool) -> PastConfiguration:
    settings = {**config.properties, **{name: getattr(config, name) for name in OWN_PARAMETERS}}
    return PastConfiguration(settings=settings, gain_pct=round(gain, 2), is_proved=is_proved)


def _callers(study: Study) -> Callers:
    if study.load is not None:
        return "arrivals"
    return "one" if study.is_single else "several"
