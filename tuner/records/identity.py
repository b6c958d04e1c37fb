"""What makes a study the same study: what is compared with environment.json before it is resumed.

Knows what is decided and what is found; not files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tuner.bench.protocol import ModelFacts
from tuner.errors import RecordError, StudyChangedError
from tuner.model.host import HostFacts
from tuner.records.folder import write_text
from tuner.study.conditions import as_written
from tuner.study.setup import StudySetup
from tuner.study.study import Objective, Study

SCHEMA_VERSION = 1


def check_identity(
    folder: Path, identity: Mapping[str, Any], host: Mapping[str, Any], *, is_started: bool = True
) -> None:
    """Writes environment.json where nothing has been measured; else refuses when the study on disk is another one, with
    every difference. Raises StudyChangedError or RecordError."""
    path = folder / "environment.json"
    wanted = json.loads(json.dumps(identity))
    if not path.exists() or not is_started:
        content = {"schema_version": SCHEMA_VERSION, "identity": wanted, "host": host}
        write_text(path, json.dumps(content, indent=2) + "\n")
        return
    found = read_environment(folder)["identity"]
    differences = [
        f"  {line}"
        for name in sorted({*found, *wanted})
        for line in _differences(name, found.get(name), wanted.get(name))
    ]
    if differences:
        raise StudyChangedError(
            f"{folder} holds the results of a different study:\n" + "\n".join(differences),
            advice="run with --fresh to move them aside and start anew, or change it back",
        )


def read_environment(folder: Path) -> dict[str, Any]:
    """environment.json as it was written. Raises RecordError when it is damaged or newer."""
    path = folder / "environment.json"
    advice = "--fresh moves these results aside and starts anew"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version, parts = content["schema_version"], (content["identity"], content["host"])
        if not isinstance(version, int) or not all(isinstance(part, dict) for part in parts):
            raise ValueError("not as tuner writes it")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{path} cannot be read: {error}", advice=advice) from error
    if version > SCHEMA_VERSION:
        raise RecordError(f"{path}: written by a newer tuner (schema {version})", advice=advice)
    return dict(content)


def _differences(at: str, was: Any, now: Any) -> list[str]:
    """One line for each part that differs, whatever it is part of."""
    if _exact(was) == _exact(now):
        return []
    old, new = _parts(was), _parts(now)
    if old is None or new is None:
        return [f"{at}: was {_short(was)}, is {_short(now)}"]
    found = [line for name in {**old, **new} for line in _differences(f"{at}.{name}", old.get(name), new.get(name))]
    return found or [f"{at}: the same in another order"]


def _parts(value: Any) -> dict[str, Any] | None:
    """A mapping, or a list of mappings that have names, by name; None where it is told as a whole."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list) and value and all(isinstance(part, dict) and "name" in part for part in value):
        return {part["name"]: {key: v for key, v in part.items() if key != "name"} for part in value}
    return None


def _exact(value: Any) -> str:
    """Text that keeps 1, 1.0 and true apart, which are equal to Python."""
    return json.dumps(value, sort_keys=True)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 300 else text[:297] + "..."


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
