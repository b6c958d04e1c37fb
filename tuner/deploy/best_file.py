"""Reads and writes best.yaml: which key holds which value, and everything wrong with a file at once.

Responsible for the keys of the file. Must not know OpenVINO or what happens with the values.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, get_args

from tuner.deploy.best import (
    SCHEMA_VERSION,
    Answer,
    Best,
    BestArrivals,
    BestBaseline,
    BestConstraint,
    BestGain,
    BestInput,
    BestModel,
    BestObjective,
    Proof,
)
from tuner.deploy.document import REWRITE, OneLine, format_content, parse_content, write_whole
from tuner.deploy.fields import Fields, is_number, is_scalar
from tuner.errors import BestFileError

HEADER = """\
# What to deploy. `properties` go to Core.compile_model as they are; `batch_size` is a reshape of each input at its
# `batch_axis`; `infer_requests` is the size of the AsyncInferQueue. `tuner apply` prints the code that does it.
"""
"""Comment at the top of best.yaml, for a person who opens the file first."""
VERDICTS: tuple[Literal["tuned", "baseline"], ...] = ("tuned", "baseline")
APIS: tuple[Literal["async", "sync"], ...] = ("async", "sync")
AFFINITIES: tuple[Literal["shared", "split"], ...] = ("shared", "split")
ANSWERS: tuple[Answer, ...] = get_args(Answer)
PROOFS: tuple[Proof, ...] = get_args(Proof)
SCALAR = "text, a finite number, true or false"
"""Kinds of values that a property may have, for messages."""


def load_best(path: str | os.PathLike[str]) -> Best:
    """Reads best.yaml and ignores keys that this version does not know.

    Raises BestFileError with everything wrong: no file, no YAML, a newer `schema_version`, missing or wrong values.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except IsADirectoryError as error:
        raise BestFileError(f"{file} is a folder", advice=f"Name the file in it: {file / 'best.yaml'}") from error
    except OSError as error:
        raise BestFileError(
            f"cannot read {file}: {error.strerror or error}", advice="`tuner run STUDY.yaml` writes best.yaml."
        ) from error
    except UnicodeDecodeError as error:
        raise BestFileError(f"{file} is not a text file", advice="Name a best.yaml that tuner wrote.") from error
    return replace(parse_best(text, str(file)), source=Path(os.path.abspath(file)))


def write_best(path: str | os.PathLike[str], best: Best) -> None:
    """Writes best.yaml in one step. Raises OutputError if that fails, ValueError if it would not be read back."""
    file = Path(path)
    text = format_best(best)
    # A file that could not be read back must never replace one that can.
    if parse_best(text, str(file)) != best:
        raise ValueError("best.yaml would not read back as it was written")
    write_whole(file, text)


def format_best(best: Best) -> str:
    """Returns the text of best.yaml."""
    return HEADER + format_content(best_content(best))


def best_content(best: Best) -> dict[str, Any]:
    """Returns the keys and values of best.yaml, in the order of its lines."""
    content: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "study": best.study, "verdict": best.verdict}
    if best.reason is not None:
        content["reason"] = best.reason
    if best.answer is not None:
        content["answer"] = best.answer
    content |= {
        "device": best.device,
        "model": {"path": best.model.path, "variant": best.model.variant, "sha256": best.model.sha256},
        "properties": dict(best.properties),
        "inputs": {name: OneLine(_input_content(given)) for name, given in best.inputs.items()},
        "batch_size": best.batch_size,
        "infer_requests": best.infer_requests,
        "api": best.api,
        **({"replicas": best.replicas, "affinity": best.affinity} if best.replicas > 1 else {}),
        **({"deployment": dict(best.deployment)} if best.deployment else {}),
        "effective": dict(best.effective),
        **({} if best.arrivals is None else {"load": OneLine(_arrivals_content(best.arrivals))}),
        "objective": _without_none(asdict(best.objective)),
        "baseline": OneLine(_baseline_content(best.baseline)),
        "baselines": dict(best.baselines),
        "gain": None if best.gain is None else _without_none(asdict(best.gain)),
        **_today_content(best),
        "constraints": [_without_none(asdict(constraint)) for constraint in best.constraints],
        "environment": dict(best.environment),
        "provenance": dict(best.provenance),
    }
    if best.objectives:
        content["objectives"] = [_without_none(asdict(objective)) for objective in best.objectives]
        content["gains"] = {name: _without_none(asdict(gain)) for name, gain in best.gains.items()}
    return content


def _today_content(best: Best) -> dict[str, Any]:
    """Returns the keys about what runs today, which older files lack."""
    if best.today is None:
        return {}
    gain = None if best.today_gain is None else _without_none(asdict(best.today_gain))
    others = {name: _without_none(asdict(found)) for name, found in best.baseline_gains.items()}
    content: dict[str, Any] = {"today": OneLine(_baseline_content(best.today)), "gain_over_today": gain}
    return content | ({"baseline_gains": others} if others else {})


def unheld_inputs(inputs: Mapping[str, BestInput]) -> list[str]:
    """Returns what best.yaml cannot hold of a model's inputs, before a study runs for a file that cannot be written."""
    problems: list[str] = []
    content = {"inputs": {name: OneLine(_input_content(given)) for name, given in inputs.items()}}
    fields = Fields(parse_content(format_content(content), "best.yaml", "best.yaml"), problems)
    found = _inputs(fields.inside("inputs"))
    return problems or [f"inputs.{name}: does not read back" for name in inputs if found.get(name) != inputs[name]]


def _baseline_content(baseline: BestBaseline) -> dict[str, Any]:
    content = {**asdict(baseline), "properties": dict(baseline.properties)}
    return {name: value for name, value in content.items() if value is not None or name == "infer_requests"}


def parse_best(text: str, name: str) -> Best:
    """Returns the values of a best.yaml's text; `name` is for messages. Raises BestFileError."""
    problems: list[str] = []
    best = read_best(Fields(parse_content(text, name, "best.yaml"), problems))
    if problems:
        raise BestFileError("\n".join(f"{name}: {problem}" for problem in problems), advice=REWRITE)
    return best


def read_best(fields: Fields) -> Best:
    """Returns the values of best.yaml and adds everything wrong to the problems of `fields`."""
    fields.one_of("schema_version", (SCHEMA_VERSION,))
    model = fields.inside("model")
    gains = _gains(fields, "gains")
    today = fields.content.get("today")
    return Best(
        study=fields.text("study"),
        verdict=fields.one_of("verdict", VERDICTS),
        reason=fields.optional_text("reason"),
        answer=None if "answer" not in fields.content else fields.one_of("answer", ANSWERS),
        device=fields.text("device"),
        model=BestModel(path=model.text("path"), variant=model.text("variant"), sha256=model.text("sha256")),
        properties=fields.mapping_of("properties", SCALAR, is_scalar),
        inputs=_inputs(fields.inside("inputs")),
        batch_size=fields.integer("batch_size", 1),
        infer_requests=fields.integer("infer_requests", 1),
        api=fields.one_of("api", APIS),
        replicas=fields.optional_integer("replicas", 1) or 1,
        affinity="shared" if "affinity" not in fields.content else fields.one_of("affinity", AFFINITIES),
        deployment={} if "deployment" not in fields.content else fields.mapping("deployment"),
        effective=fields.mapping_of("effective", "text", lambda value: isinstance(value, str)),
        objective=_objective(fields.inside("objective")),
        baseline=_baseline(fields.inside("baseline")),
        baselines=fields.mapping_of("baselines", "a finite number", is_number),
        gain=None if fields.content.get("gain") is None else _gain(fields.inside("gain")),
        today=None if today is None else _baseline(fields.inside("today")),
        today_gain=None if fields.content.get("gain_over_today") is None else _gain(fields.inside("gain_over_today")),
        baseline_gains=_gains(fields, "baseline_gains"),
        constraints=tuple(_constraint(item) for item in fields.items("constraints")),
        objectives=tuple(_objective(item) for item in fields.items("objectives")),
        gains=gains,
        arrivals=_arrivals(fields) if "load" in fields.content else None,
        environment=_environment(fields),
        provenance=fields.mapping("provenance"),
    )


def _inputs(fields: Fields) -> dict[str, BestInput]:
    inputs = {}
    for name in fields.content:
        given = fields.inside(name)
        shape = given.numbers("shape", None, 0, are_whole=True)
        axis = given.optional_integer("batch_axis", 0)
        if axis is not None and shape and axis >= len(shape):
            given.problems.append(f"{given.prefix}batch_axis: {axis} is not an axis of the shape {list(shape)}")
        limits = (0.0, 1.0)
        if "range" in given.content:
            limits = given.numbers("range", 2, float("-inf"), are_whole=False) or limits
        inputs[name] = BestInput(shape=shape, batch_axis=axis, layout=given.optional_text("layout"), range=limits)
    return inputs


def _baseline(fields: Fields) -> BestBaseline:
    return BestBaseline(
        name=fields.text("name"),
        value=fields.number("value"),
        properties=fields.mapping_of("properties", SCALAR, is_scalar),
        batch_size=1 if "batch_size" not in fields.content else fields.integer("batch_size", 1),
        infer_requests=fields.optional_integer("infer_requests", 1),
        replicas=fields.optional_integer("replicas", 1),
        affinity=None if "affinity" not in fields.content else fields.one_of("affinity", AFFINITIES),
        api=None if "api" not in fields.content else fields.one_of("api", APIS),
    )


def _gain(fields: Fields) -> BestGain:
    return BestGain(
        estimate_pct=fields.number("estimate_pct"),
        low_pct=fields.number("low_pct"),
        high_pct=fields.number("high_pct"),
        confidence=fields.number("confidence"),
        sessions=fields.integer("sessions", 0),
        pairs=fields.integer("pairs", 0),
        metric=fields.optional_text("metric"),
    )


def _gains(fields: Fields, key: str) -> dict[str, BestGain]:
    """Returns name -> gain; empty if the file lacks the key."""
    if key not in fields.content:
        return {}
    found = fields.inside(key)
    return {name: _gain(found.inside(name)) for name in found.content}


def _objective(fields: Fields) -> BestObjective:
    return BestObjective(
        metric=fields.text("metric"),
        value=fields.number("value"),
        unit=fields.text("unit"),
        reference=fields.optional_number("reference"),
    )


def _constraint(fields: Fields) -> BestConstraint:
    return BestConstraint(
        metric=fields.text("metric"),
        min=fields.optional_number("min"),
        max=fields.optional_number("max"),
        min_ratio=fields.optional_number("min_ratio"),
        max_ratio=fields.optional_number("max_ratio"),
        measured=fields.number("measured"),
        kept=None if "kept" not in fields.content else fields.one_of("kept", (True, False)),
        proof=None if "proof" not in fields.content else fields.one_of("proof", PROOFS),
        requests=fields.optional_integer("requests", 0),
    )


def _arrivals(fields: Fields) -> BestArrivals:
    """Returns the arrivals as the study file states them: one pattern with rate_per_s or find_max."""
    given = fields.inside("load")
    if len(given.content) != 1:
        fields.problems.append("load: expected one pattern, such as {poisson: {rate_per_s: 120}}")
        return BestArrivals(pattern="")
    (pattern,) = given.content
    rate = given.inside(pattern)
    if rate.content.get("find_max") is True:
        return BestArrivals(pattern=pattern)
    return BestArrivals(pattern=pattern, rate_per_s=rate.number("rate_per_s"))


def _environment(fields: Fields) -> Mapping[str, Any]:
    """Returns the facts of the host; only those that are compared with another host need a type."""
    found = fields.inside("environment")
    found.optional_text("cpu_model")
    found.optional_integer("cpus_allowed", 1)
    found.optional_number("cpu_quota")
    found.optional_text("openvino")
    return found.content


def _arrivals_content(arrivals: BestArrivals) -> dict[str, Any]:
    rate = {"find_max": True} if arrivals.rate_per_s is None else {"rate_per_s": arrivals.rate_per_s}
    return {arrivals.pattern: rate}


def _input_content(given: BestInput) -> dict[str, Any]:
    content: dict[str, Any] = {"shape": list(given.shape)}
    if given.layout is not None:
        content["layout"] = given.layout
    content["batch_axis"] = given.batch_axis
    if given.range != (0.0, 1.0):
        content["range"] = list(given.range)
    return content


def _without_none(content: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if value is not None}
