"""What makes a study the same study: what is compared with environment.json before it is resumed.

Knows what is decided and what is found; not files.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tuner.bench.protocol import ModelFacts
from tuner.model.host import HostFacts
from tuner.study.conditions import as_written
from tuner.study.study import Objective, Study
from tuner.study.study_setup import StudySetup


def study_identity(setup: StudySetup, facts: ModelFacts, host: HostFacts, digest: str) -> dict[str, Any]:
    """What makes a study the same study (design.md, section 8)."""
    study = setup.study
    return {
        "model": digest,
        "inputs": list(facts.inputs),
        "ranges": {name: list(given.range) for name, given in study.model.inputs.items()},
        "device": study.device,
        "objective": _objective_identity(study.objective),
        "space": [asdict(parameter) for parameter in setup.space.parameters],
        "baselines": {name: _as_ever(asdict(baseline)) for name, baseline in study.baselines.items()},
        "openvino": host.openvino,
        "cpu_model": host.cpu_model,
        "cpus_allowed": host.cpus_allowed,
        "cpu_quota": host.cpu_quota,
        **({"deployment": stated} if (stated := as_written(study.conditions)) else {}),
        **({"load": asdict(study.load)} if study.load else {}),
        **calls_identity(study),
    }


def calls_identity(study: Study) -> dict[str, str]:
    """Empty but for a server's latency: before its calls went by the number of requests all were asynchronous, and
    sessions of both kinds cannot be compared."""
    is_server = study.calls_of(None) == "by_requests" and not study.is_single
    return {"calls": "by_requests"} if is_server else {}


def _as_ever(baseline: dict[str, Any]) -> dict[str, Any]:
    """Without what studies of earlier versions could not say, where it is not said."""
    return {k: v for k, v in baseline.items() if v is not None or k not in ("replicas", "affinity")}


def _objective_identity(objective: Objective) -> dict[str, Any]:
    """As studies with one objective have always had it."""
    content = asdict(objective)
    if not objective.has_several:
        del content["others"]
    return content
