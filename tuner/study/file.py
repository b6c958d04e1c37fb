"""A study file -> Study: reads, judges section by section, and reports everything wrong at once.

Knows the rules between keys; neither what a device supports (the probe says) nor where the model is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from tuner.bench.metrics import METRICS
from tuner.errors import InputError, StudyFileError, TunerError
from tuner.model.host import HostFacts
from tuner.model.spec import InputSpec, ModelSpec
from tuner.study.block import BaselineBlock, BudgetBlock, InputBlock, LimitBlock, ModelBlock
from tuner.study.conditions import check_deployment, read_conditions
from tuner.study.document import MAX_BYTES, Document, NodePath, read_document
from tuner.study.load_file import check_load, load_of, objective_under
from tuner.study.problem import ProblemList, listed, shown, unknown
from tuner.study.schema import OBJECTIVES, RESERVED_BASELINES, SCHEMA_VERSION, StudyBlock, keys_at
from tuner.study.space import Parameter, Value, is_same
from tuner.study.space_file import REFUSED_PROPERTIES, check_names, output_warnings, read_parameters
from tuner.study.study import BaselineSpec, Budget, Limit, Objective, SpaceSpec, Study
from tuner.study.value import DEVICE, PROPERTY, SAFE_NAME

Probe = Callable[[str, Mapping[str, Sequence[Value]]], Mapping[str, str]]
"""Asked with the device and every property a file names, with its values: name -> what is wrong, for those that the
device does not know, and `setting_of` a name and a value -> what is wrong, for those values that it refuses."""

ModelProbe = Callable[[str, ModelSpec | None], Sequence[tuple[NodePath, str]]]
"""Asked with the device and the model, None where what the file says of that is wrong already: where in the file
something about them is wrong, and what."""


def load_study(
    path: Path,
    *,
    probe: Probe | None = None,
    host: HostFacts | None = None,
    model_probe: ModelProbe | None = None,
    worker_bytes: Callable[[], int] | None = None,
) -> Study:
    """Raises StudyFileError with every problem of the file, InputError where it cannot be read, and what the probes
    raise where nothing else is wrong. What is not given is not checked: without `probe` properties, without
    `model_probe` device and model, without `host` and `worker_bytes` (what a worker takes that has no model yet)
    whether there is what the deployment asks for."""
    document = read_document(_read(path), name=str(path))
    problems = ProblemList(document)
    if {"verdict", "effective"} <= document.value.keys():
        raise InputError(f"{path}: this is a best.yaml, not a study file", advice=f"`tuner apply {path}` uses it")
    _refuse_newer(document)
    _check_structure(problems)
    _check_name(problems, path)
    _check_inputs(problems)
    _check_objective(problems)
    _check_baselines(problems)
    _check_budget(problems)
    check_load(problems)
    parameters = read_parameters(problems)
    unanswered: list[TunerError] = []
    checks: list[Callable[[], None]] = [
        lambda: check_deployment(problems, parameters, host, worker_bytes),
        lambda: _check_model(problems, model_probe, path),
        lambda: _check_properties(problems, probe),
    ]
    for check in checks:
        try:
            check()
        except TunerError as error:
            unanswered.append(error)
    if unanswered and not problems.problems:
        raise unanswered[0]
    if problems.problems:
        raise StudyFileError(document.name, problems.problems)
    return _study(StudyBlock.model_validate(document.value), document, path, parameters)


def _read(path: Path) -> bytes:
    try:
        if not path.exists():
            raise InputError(f"{path}: there is no such file", advice="the README shows a study file to start from")
        if not path.is_file():
            raise InputError(f"{path}: this is not a file", advice="give the study file itself, such as configs/x.yaml")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        # ValueError: a NUL character in the path.
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(f"{str(path)!r} cannot be read: {reason}") from None


def _refuse_newer(document: Document) -> None:
    """Alone, because a newer file may be right in everything that looks wrong here."""
    version = document.value.get("schema_version")
    if isinstance(version, int) and not isinstance(version, bool) and version > SCHEMA_VERSION:
        problems = ProblemList(document)
        message = f"schema_version {version}: this file needs a newer tuner; this one reads {SCHEMA_VERSION}"
        problems.at_value(("schema_version",), message)
        raise StudyFileError(document.name, problems.problems[-1:])


def _check_structure(problems: ProblemList) -> None:
    check_names(problems, ("space",), kind="parameter", also=("extends",))
    baselines = problems.find(("baselines",))
    for name in baselines if isinstance(baselines, Mapping) else ():
        check_names(problems, ("baselines", name), kind="key")
    try:
        StudyBlock.model_validate(problems.document.value)
    except ValidationError as error:
        problems.add_errors(error, keys_at)


def _check_name(problems: ProblemList, path: Path) -> None:
    if "name" not in problems.document.value and not re.fullmatch(SAFE_NAME, path.stem):
        message = f"the file's name {shown(path.stem)} is no plain folder name; add a key `name`"
        problems.at_key((), f"{message} (letters, digits, `.`, `_` and `-`)")


def _check_inputs(problems: ProblemList) -> None:
    inputs = problems.find(("model", "inputs"))
    for name in inputs if isinstance(inputs, Mapping) else ():
        path: NodePath = ("model", "inputs", name)
        block = problems.block(InputBlock, path)
        if block and block.shape is not None and block.layout is not None and len(block.shape) != len(block.layout):
            counts = f"{len(block.layout)} letters, the shape {len(block.shape)} dimensions"
            problems.at_value((*path, "layout"), f"the layout {block.layout} has {counts}")


def _check_objective(problems: ProblemList) -> None:
    keys = [key for key in ("objective", "objectives") if key in problems.document.value]
    if not keys and not problems.is_misspelt(("objective",)):
        problems.at_key((), "key `objective` is missing")
    if len(keys) == 2:
        problems.at_key(("objectives",), "a study has either one `objective` or several `objectives`; take one out")
    if "subject_to" in problems.document.value and "objectives" not in keys:
        problems.at_key(("subject_to",), "the limits beside one objective stand inside it, under `objective:`")
    _check_directions(problems, ("objective",))
    several = problems.find(("objectives",))
    if isinstance(several, list):
        _check_several(problems, several)
    for path in (("objective", "subject_to"), ("subject_to",)):
        limits = problems.find(path)
        for metric in limits if isinstance(limits, Mapping) else ():
            _check_limit(problems, (*path, metric), metric)


def _check_several(problems: ProblemList, several: Sequence[object]) -> None:
    fewest, most = OBJECTIVES
    if len(several) < fewest:
        problems.at_value(("objectives",), f"several objectives are {fewest} to {most}; one stands under `objective:`")
    elif len(several) > most:
        problems.at_value(("objectives",), f"at most {most} objectives, got {len(several)}; others may be limits")
    seen: set[str] = set()
    for i in range(len(several)):
        for path in _check_directions(problems, ("objectives", i)):
            if (name := problems.find(path)) in seen:
                problems.at_value(path, f"{name} is one of the objectives already")
            seen.add(name)


def _check_directions(problems: ProblemList, path: NodePath) -> list[NodePath]:
    """One of maximize and minimize, and its metric. Returns where there is one of those that are right."""
    content = problems.find(path)
    if not isinstance(content, Mapping):
        return []
    given = [key for key in content if key in ("maximize", "minimize")]
    if len(given) == 2:
        message = "an objective has one of maximize and minimize; what must be kept goes under subject_to"
        problems.at_key((*path, given[1]), message)
    if not given and not problems.has_unknown(path) and not problems.is_spoilt(path):
        message = "the objective needs one of maximize and minimize, such as `maximize: throughput`"
        if isinstance(path[-1], int):
            problems.at_value(path, message)
        else:
            problems.at_key(path, message)
    for key in given:
        if problems.is_right((*path, key)):
            _check_direction(problems, (*path, key), key, content[key])
    return [(*path, key) for key in given if problems.is_right((*path, key))]


def _check_direction(problems: ProblemList, path: NodePath, key: str, name: str) -> None:
    metric = METRICS.get(name)
    other = "minimize" if key == "maximize" else "maximize"
    if metric is None:
        problems.at_value(path, unknown("metric", name, list(METRICS)))
    elif metric.is_higher_better != (key == "maximize"):
        better = "higher" if metric.is_higher_better else "lower"
        problems.at_key(path, f"{name} is better when {better}; write `{other}: {name}`")


def _check_limit(problems: ProblemList, path: NodePath, metric: str) -> None:
    if metric not in METRICS:
        problems.at_key(path, unknown("metric", metric, list(METRICS)))
    limit = problems.block(LimitBlock, path)
    if limit is None:
        return
    if not limit.model_fields_set and not problems.has_unknown(path):
        problems.at_key(path, f"{metric} needs a bound: {listed(list(LimitBlock.model_fields))}")
    for low_key, high_key in (("min", "max"), ("min_ratio", "max_ratio")):
        low, high = getattr(limit, low_key), getattr(limit, high_key)
        if low is not None and high is not None and low > high:
            bounds = f"{low_key} {low:g}, {high_key} {high:g}"
            problems.at_value((*path, low_key), f"no value keeps both bounds: {bounds}")


def _check_baselines(problems: ProblemList) -> None:
    baselines = problems.find(("baselines",))
    for name in baselines if isinstance(baselines, Mapping) else ():
        if name in RESERVED_BASELINES:
            message = f"every study has the baselines {listed(RESERVED_BASELINES)}; give yours another name"
            problems.at_key(("baselines", name), message)
        elif not re.fullmatch(SAFE_NAME, name):
            problems.at_key(("baselines", name), f"{shown(name)} is no plain name (letters, digits, `.`, `_` and `-`)")


def _check_budget(problems: ProblemList) -> None:
    budget = problems.block(BudgetBlock, ("budget",))
    if budget and not budget.model_fields_set and not problems.has_unknown(("budget",)):
        problems.at_key(("budget",), "the budget needs minutes, trials or both, such as `minutes: 5`")


def _check_model(problems: ProblemList, model_probe: ModelProbe | None, path: Path) -> None:
    device = problems.find(("device",))
    if model_probe is None or not isinstance(device, str) or not re.fullmatch(DEVICE, device):
        return
    given = problems.find(("model",))
    if isinstance(given, str) and problems.is_right(("model",)):
        block: ModelBlock | None = ModelBlock(path=given)
    else:
        block = problems.block(ModelBlock, ("model",))
    for place, message in model_probe(device, _model(block, path) if block else None):
        problems.at_value(place, message)


def _check_properties(problems: ProblemList, probe: Probe | None) -> None:
    device = problems.find(("device",))
    mentions = _properties(problems)
    if probe is None or not mentions or not isinstance(device, str) or not re.fullmatch(DEVICE, device):
        return
    values = {path: _values(problems, path) for path in mentions}
    asked: dict[str, list[Value]] = {}
    for path, found in values.items():
        known = asked.setdefault(str(path[-1]), [])
        known += [value for value in found.values() if not any(is_same(value, other) for other in known)]
    answers = probe(device, asked)
    for path in mentions:
        if message := answers.get(str(path[-1])):
            problems.at_key(path, message)
        for place, value in values[path].items():
            if message := answers.get(setting_of(str(path[-1]), value)):
                problems.at_value(place, message)


def setting_of(name: str, value: Value) -> str:
    """A property and its value, as an answer of a probe is named."""
    return f"{name}={shown(value)}"


def _values(problems: ProblemList, path: NodePath) -> dict[NodePath, Value]:
    """Where a property has which value: each of its choices, the ends of its range, what a baseline gives it."""
    content = problems.find(path)
    if path[0] == "baselines":
        places = {path: content}
    elif not isinstance(content, Mapping):
        return {}
    else:
        choices = content.get("choices")
        places = {(*path, "choices", i): v for i, v in enumerate(choices if isinstance(choices, list) else ())}
        places |= {(*path, end): content[end] for end in ("low", "high") if end in content}
    return {
        place: value
        for place, value in places.items()
        if isinstance(value, str | bool | int | float) and problems.is_right(place)
    }


def _properties(problems: ProblemList) -> list[NodePath]:
    """Where a property is named, whatever else is wrong there."""
    baselines = problems.find(("baselines",))
    sections: list[NodePath] = [("space",)]
    sections += [("baselines", name) for name in (baselines if isinstance(baselines, Mapping) else ())]
    paths: list[NodePath] = []
    for section in sections:
        content = problems.find(section)
        paths += [(*section, name) for name in (content if isinstance(content, Mapping) else ())]
    return [p for p in paths if re.fullmatch(PROPERTY, str(p[-1])) and p[-1] not in REFUSED_PROPERTIES]


def _study(block: StudyBlock, document: Document, path: Path, parameters: tuple[Parameter, ...]) -> Study:
    return Study(
        name=block.name or path.stem,
        path=Path(os.path.abspath(path)),
        text=document.text,
        model=_model(block.model, path),
        device=block.device,
        objective=objective_under(_objective(block), block.load),
        load=load_of(block.load, block.objective),
        space=SpaceSpec(is_auto=block.space.extends == "auto", parameters=parameters),
        budget=Budget(minutes=block.budget.minutes, trials=block.budget.trials),
        baselines={name: _baseline(given) for name, given in block.baselines.items()},
        conditions=read_conditions(block.deployment),
        seed=block.search.seed,
        sampler=block.search.sampler,
        min_gain_pct=block.decision.min_gain_pct,
        warnings=tuple(output_warnings(parameters)),
    )


def _model(block: ModelBlock, path: Path) -> ModelSpec:
    inputs = {
        name: InputSpec(
            shape=None if given.shape is None else tuple(given.shape),
            layout=given.layout,
            range=(given.range[0], given.range[1]),
        )
        for name, given in block.inputs.items()
    }
    folder = Path(os.path.abspath(path)).parent
    return ModelSpec(path=block.path, folder=folder, inputs=inputs, assume_batch_legal=block.assume_batch_legal)


def _objective(block: StudyBlock) -> Objective:
    bounds = block.objective.subject_to if block.objective else block.subject_to
    limits = tuple(
        Limit(metric=name, min=b.min, max=b.max, min_ratio=b.min_ratio, max_ratio=b.max_ratio)
        for name, b in bounds.items()
    )
    directions = [block.objective] if block.objective else (block.objectives or [])
    metric, *others = [name for d in directions if (name := d.maximize or d.minimize) is not None]
    return Objective(metric=metric, limits=limits, others=tuple(others))


def _baseline(block: BaselineBlock) -> BaselineSpec:
    properties = dict(block.model_extra or {})
    return BaselineSpec(
        properties=properties,
        batch_size=block.batch_size,
        infer_requests=block.infer_requests,
        replicas=block.replicas,
        affinity=block.affinity,
    )
