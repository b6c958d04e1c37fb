"""Turns a study file into a Study: parsed once, checked as facts arrive, refused with all problems at once.

Responsible for the order of the checks. Must not know what a device supports, nor where the model is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from tuner.bench.own_parameters import OWN_PARAMETERS
from tuner.bench.value import Value, is_same
from tuner.errors import InputError, StudyFileError
from tuner.model.host import HostFacts
from tuner.model.spec import InputSpec, ModelSpec
from tuner.study.file.arrivals_section import LoadSection, callers_of, check_load, load_of, objective_under
from tuner.study.file.deployment_section import check_host, check_replicas, check_worker
from tuner.study.file.objective_section import check_objectives, objective_of
from tuner.study.file.problems import ProblemList, shown
from tuner.study.file.scalars import is_safe_name
from tuner.study.file.schema import SCHEMA_VERSION, StudySection, section_at
from tuner.study.file.sections import BaselineSection, ModelSection, Section, SectionContext, is_settable
from tuner.study.file.space_section import parameters_of
from tuner.study.file.yaml_document import MAX_BYTES, Document, read_document
from tuner.study.study import BaselineSpec, Budget, SpaceSpec, Study
from tuner.yaml_text import NodePath


def load_study(path: Path, text: str | None = None) -> Study:
    """Returns the study of a file, checked as far as that needs neither this host nor a device.

    `text` is what the file will hold if it is not written yet. Raises StudyFileError with every problem of the file,
    InputError if it cannot be read.
    """
    return parse(path, text).study()


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A study file that was parsed, with the problems that are known of it."""

    path: Path
    problems: ProblemList
    sections: StudySection
    """The sections as far as they are right: a required key that is wrong is no attribute."""

    @property
    def device(self) -> str | None:
        """The device, None if the file is wrong about it."""
        return self.sections.device if self.problems.is_right(("device",)) else None

    @property
    def model(self) -> ModelSpec | None:
        """The model, None if the file is wrong about it."""
        return (
            _model(self.sections.model, self.sections.load, self.path) if self.problems.is_right(("model",)) else None
        )

    @property
    def has_memory_limit(self) -> bool:
        """True if `check_worker` has something to check."""
        return self.sections.deployment.memory is not None

    def properties(self) -> Mapping[str, Sequence[Value]]:
        """Returns each property that the file names with its different values; the rest of the file may be wrong."""
        asked: dict[str, list[Value]] = {}
        for path, values in _properties(self.problems).items():
            known = asked.setdefault(str(path[-1]), [])
            known += [value for value in values.values() if not any(is_same(value, other) for other in known)]
        return asked

    def check_host(self, host: HostFacts) -> None:
        """Adds the limits that this host cannot give the deployment."""
        check_host(self.problems, self.sections.deployment, host)

    def check_worker(self, worker_bytes: int) -> None:
        """Adds a memory limit below `worker_bytes`, the memory of a worker before it reads a model."""
        check_worker(self.problems, self.sections.deployment, worker_bytes)

    def check_device(self, answers: Mapping[str, str]) -> None:
        """Adds the device's refusals: `property_text` of a value, or the name of a property -> message."""
        for path, values in _properties(self.problems).items():
            name = str(path[-1])
            if name in answers:
                self.problems.at_key(path, answers[name])
            for at, value in values.items():
                if (text := property_text(name, value)) in answers:
                    self.problems.at_value(at, answers[text])

    def check_model(self, faults: Sequence[tuple[NodePath, str]]) -> None:
        """Adds problems of model and device: (path in the file, message)."""
        for path, message in faults:
            self.problems.at_value(path, message)

    def refuse_problems(self) -> None:
        """Raises StudyFileError with every problem that is known, if there is one."""
        if self.problems.problems:
            raise StudyFileError(self.problems.document.name, self.problems.problems)

    def study(self) -> Study:
        """Returns the study. Raises StudyFileError with every problem that is known."""
        self.refuse_problems()
        return _study(self.sections, self.problems.document, self.path)


def parse(path: Path, text: str | None = None) -> Draft:
    """Returns a file with every problem that can be found in it alone.

    `text` is what the file will hold if it is not written yet. Raises StudyFileError if it is no YAML mapping or newer
    than this program, InputError if it is no study file.
    """
    if text is None:
        document = read_document(_read(path), name=str(path))
    else:
        document = read_document(text.encode(), name=f"{path} (not written yet)")
    if {"verdict", "effective"} <= document.value.keys():
        raise InputError(f"{path}: this is a best.yaml, not a study file", advice=f"`tuner apply {path}` uses it")
    _refuse_newer(document)
    problems = ProblemList(document)
    sections = _read_section(problems, document.value, ())
    if "name" not in document.value and not is_safe_name(path.stem):
        message = f"the file's name {shown(path.stem)} is no plain folder name; add a key `name`"
        problems.at_key((), f"{message} (letters, digits, `.`, `_` and `-`)")
    check_objectives(problems)
    others: dict[str, Any] = {"space": sections.space, "baselines": sections.baselines}
    check_load(problems, sections.load, sections.objective, **others)
    check_replicas(problems, sections.deployment, **others)
    return Draft(path=path, problems=problems, sections=sections)


def _read(path: Path) -> bytes:
    try:
        if not path.exists():
            raise InputError(
                f"{path}: there is no such file", advice="`tuner init MODEL` writes a study file to start from"
            )
        if not path.is_file():
            raise InputError(f"{path}: this is not a file", advice="give the study file itself, such as configs/x.yaml")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        # ValueError: a NUL character in the path.
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(f"{str(path)!r} cannot be read: {reason}") from None


def _refuse_newer(document: Document) -> None:
    """Raises StudyFileError for a newer file, which may be right in everything that looks wrong here."""
    version = document.value.get("schema_version")
    if isinstance(version, int) and not isinstance(version, bool) and version > SCHEMA_VERSION:
        problems = ProblemList(document)
        message = f"schema_version {version}: this file needs a newer tuner; this one reads {SCHEMA_VERSION}"
        problems.at_value(("schema_version",), message)
        raise StudyFileError(document.name, problems.problems[-1:])


def _read_section(problems: ProblemList, given: Any, path: NodePath) -> Any:
    """Returns the value at `path` with a section for each mapping that stands for one, the inner ones first.

    A section is validated once, when those below it are sections already. One that is wrong is reported, and made again
    of what is right in it, so that it hides no problem of the sections around it.
    """
    section = section_at(path)
    if section is not None:
        try:
            given = section.expanded(given)
        except PydanticCustomError:
            return given  # The section above reports it.
    if isinstance(given, list):
        return [_read_section(problems, part, (*path, i)) for i, part in enumerate(given)]
    content: Any = given
    if isinstance(given, Mapping):
        content = {}
        for key, part in given.items():
            if section is not None and (message := section.refusal(key)):
                problems.unknown_key((*path, key), message)
            else:
                content[key] = _read_section(problems, part, (*path, key))
    if section is None or given is None or isinstance(given, Section):
        return content
    context = SectionContext(
        name=str(path[-1]) if path else "", keys=tuple(given) if isinstance(given, Mapping) else ()
    )
    try:
        return section.model_validate(content, context=context)
    except ValidationError as error:
        problems.add_errors(error, path)
    right = _right(problems, content, path) if isinstance(content, dict) else {}
    try:
        return section.model_validate(right, context=replace(context, is_partial=True))
    except ValidationError:
        return section.model_construct(**right)


def _right(problems: ProblemList, content: Any, path: NodePath) -> Any:
    """Returns the content of a section without its wrong parts; the sections inside are without theirs already."""
    if isinstance(content, dict):
        kept = {key: part for key, part in content.items() if not problems.is_wrong((*path, key))}
        return {key: _right(problems, part, (*path, key)) for key, part in kept.items() if part is not None}
    if isinstance(content, list):
        parts = [((*path, i), part) for i, part in enumerate(content)]
        return [_right(problems, part, at) for at, part in parts if not problems.is_wrong(at)]
    return content


def property_text(name: str, value: Value) -> str:
    """Returns a property with its value as an answer of a device names it, such as `PERFORMANCE_HINT="LATENCY"`."""
    return f"{name}={shown(value)}"


def _properties(problems: ProblemList) -> dict[NodePath, dict[NodePath, Value]]:
    """Returns the paths of properties with the right values at each, whatever else is wrong there."""
    baselines = problems.find(("baselines",))
    sections: list[NodePath] = [("space",)]
    sections += [("baselines", name) for name in (baselines if isinstance(baselines, Mapping) else ())]
    contents = [(section, problems.find(section)) for section in sections]
    named = [(*section, name) for section, found in contents if isinstance(found, Mapping) for name in found]
    return {path: _values(problems, path) for path in named if is_settable(str(path[-1]))}


def _values(problems: ProblemList, path: NodePath) -> dict[NodePath, Value]:
    """Returns the values of a property by path: its choices, the ends of its range, the value in a baseline."""
    content = problems.find(path)
    found = {path: content} if path[0] == "baselines" else {}
    if path[0] == "space" and isinstance(content, Mapping):
        choices = content.get("choices")
        found = {(*path, "choices", i): v for i, v in enumerate(choices if isinstance(choices, list) else ())}
        found |= {(*path, end): content[end] for end in ("low", "high") if end in content}
    right = [at for at, value in found.items() if isinstance(value, str | bool | int | float) and problems.is_right(at)]
    return {at: found[at] for at in right}


def _study(sections: StudySection, document: Document, path: Path) -> Study:
    objective = sections.objective
    limits = objective.subject_to if objective else sections.subject_to
    parameters = parameters_of(sections.space)
    return Study(
        name=sections.name or path.stem,
        path=Path(os.path.abspath(path)),
        text=document.text,
        model=_model(sections.model, sections.load, path),
        device=sections.device,
        objective=objective_under(
            objective_of([objective] if objective else sections.objectives or [], limits), sections.load
        ),
        load=load_of(sections.load, objective),
        callers=callers_of(sections.load),
        space=SpaceSpec(is_auto=sections.space.extends == "auto", parameters=parameters),
        budget=Budget(**sections.budget.model_dump()),
        baselines={name: _baseline(given) for name, given in sections.baselines.items()},
        conditions=sections.deployment.conditions,
        seed=sections.search.seed,
        sampler=sections.search.sampler,
        min_gain_pct=sections.decision.min_gain_pct,
    )


def _model(section: ModelSection, load: LoadSection, path: Path) -> ModelSpec:
    inputs = {
        name: InputSpec(
            shape=None if given.shape is None else tuple(given.shape),
            layout=given.layout,
            range=given.ends,
        )
        for name, given in section.inputs.items()
    }
    folder = Path(os.path.abspath(path)).parent
    return ModelSpec(
        path=section.path,
        folder=folder,
        inputs=inputs,
        assume_batch_legal=section.assume_batch_legal,
        batch_tolerance=section.batch_tolerance,
        steps=load.steps,
    )


def _baseline(section: BaselineSection) -> BaselineSpec:
    own = {name: section.own(name) for name in OWN_PARAMETERS}
    return BaselineSpec(properties=section.properties, server=getattr(section, "server", None), **own)
