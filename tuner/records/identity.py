"""Identity of a study: the facts that must equal those in environment.json before the study is resumed.

Responsible for these facts and their comparison.
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
from tuner.study.study import BaselineSpec, Objective, Study

SCHEMA_VERSION = 1
"""Version of environment.json."""


def check_identity(
    folder: Path, identity: Mapping[str, Any], host: Mapping[str, Any], *, is_started: bool = True
) -> None:
    """Writes environment.json if nothing has been measured, else compares it with the study at hand.

    Raises StudyChangedError with every difference if the folder has another study, and RecordError for a damaged file.
    """
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
    """Returns the content of environment.json. Raises RecordError if the file is damaged or newer."""
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
    """Returns one line for each part that differs, at any depth."""
    if _exact(was) == _exact(now):
        return []
    old, new = _parts(was), _parts(now)
    if old is None or new is None:
        return [f"{at}: was {_short(was)}, is {_short(now)}"]
    found = [line for name in {**old, **new} for line in _differences(f"{at}.{name}", old.get(name), new.get(name))]
    return found or [f"{at}: the same in another order"]


def _parts(value: Any) -> dict[str, Any] | None:
    """Returns a mapping, or a list of named mappings by name; None for any other value."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list) and value and all(isinstance(part, dict) and "name" in part for part in value):
        return {part["name"]: {key: v for key, v in part.items() if key != "name"} for part in value}
    return None


def _exact(value: Any) -> str:
    """Returns a text that keeps 1, 1.0 and true apart, which are equal to Python."""
    return json.dumps(value, sort_keys=True)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 300 else text[:297] + "..."


def study_identity(setup: StudySetup, facts: ModelFacts, host: HostFacts, digest: str) -> dict[str, Any]:
    """Returns the identity of a study (tuner/README.md, records)."""
    study = setup.study
    return {
        "model": digest,
        "inputs": list(facts.inputs),
        "ranges": {name: list(given.range) for name, given in study.model.inputs.items()},
        "device": study.device,
        "objective": _objective_identity(study.objective),
        "space": [asdict(parameter) for parameter in setup.space.parameters],
        "baselines": {name: _baseline_identity(baseline) for name, baseline in study.baselines.items()},
        "openvino": host.openvino,
        "cpu_model": host.cpu_model,
        "cpus_allowed": host.cpus_allowed,
        "cpu_quota": host.cpu_quota,
        **({"deployment": stated} if (stated := as_written(study.conditions)) else {}),
        **({"load": asdict(study.load)} if study.load else {}),
        **({"steps": facts.steps} if facts.steps else {}),
        **calls_identity(study),
    }


def calls_identity(study: Study) -> dict[str, str]:
    """Returns how the requests of a latency study on a server are called; empty for any other study.

    Earlier versions called all of them asynchronously, and sessions of both kinds cannot be compared.
    """
    is_server = study.calls_of(None) == "by_requests" and not study.is_single
    return {"calls": "by_requests"} if is_server else {}


def _baseline_identity(baseline: BaselineSpec) -> dict[str, Any]:
    """Returns a baseline as every version writes it: without the later fields, unless they are set."""
    return {k: v for k, v in asdict(baseline).items() if v is not None or k not in ("replicas", "affinity", "server")}


def _objective_identity(objective: Objective) -> dict[str, Any]:
    """Returns an objective as every version writes it: with `others` only if there are several."""
    content = asdict(objective)
    if not objective.has_several:
        del content["others"]
    return content
