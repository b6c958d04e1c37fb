"""Makes the study file of a model and flags, for `tuner init` and for `tuner run` of a model.

Responsible for the order of questions to a person and to the model. Must not measure anything.
"""

from __future__ import annotations

import difflib
import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tuner.bench.worker.inspection import describe_inputs
from tuner.bench.worker.worker_bench import WorkerBench
from tuner.commands.model_argument import is_model, model_of, study_name, written_path
from tuner.commands.study_flags import GivenInput, StudyFlags, given_inputs, make_wish
from tuner.errors import InputError, OutputError, StudyChangedError
from tuner.model.files.description import InputFacts, propose_shape
from tuner.model.host import HostFacts, host_facts
from tuner.model.locate import locate, saved_model_files, sha256, weights_files
from tuner.model.spec import ModelSpec
from tuner.records.folder import write_text
from tuner.records.identity import read_environment
from tuner.study.file.loader import load_study, parse
from tuner.study.file.recipes import RECIPES
from tuner.study.file.scalars import is_safe_name
from tuner.study.file.schema import json_schema
from tuner.study.file.written import StudyFacts, WrittenInput, printable, study_text
from tuner.study.study import Study

SCHEMA_FILE = "tuner-study.schema.json"
"""Name of the JSON schema that stands beside a study file, for editors."""
CHEAP_MODEL_BYTES = 100 << 20
"""Largest model whose batch is looked at before a study, in bytes.

`tuner init` took 1.7 s for dense layers of 99 MiB on a 2-core cloud VM.
"""
WRITTEN_STUDY = "study.yaml"
"""Name of the study file in a results folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InitOptions:
    """Answers of the command line to the questions of a study."""

    recipe: str | None = None
    minutes: float | None = None
    out: Path | None = None


def list_recipes() -> str:
    """Returns the recipes with their questions, one in a line."""
    width = max(map(len, RECIPES))
    return "".join(f"{name:<{width}}  {recipe.about}\n" for name, recipe in RECIPES.items())


def init_study(given: str | None, flags: StudyFlags, options: InitOptions) -> list[str]:
    """Writes a study file and the schema beside it, and returns what to read and to do next.

    Raises TunerError; then nothing is written.
    """
    if given is None:
        raise InputError("no model is named", advice="tuner init MODEL; `tuner init --list` names the recipes")
    spec = model_of(given)
    out = options.out or Path(f"{study_name(given)}.yaml")
    refuse_existing(out)
    wish = make_wish(flags, options.recipe, options.minutes)
    command = f"tuner run {shlex.quote(str(out))}"
    facts = StudyFacts(
        model=written_path(given, out.parent),
        name=None if is_safe_name(out.stem) else study_name(given),
        command=command,
        schema_file=SCHEMA_FILE,
    )
    facts = complete_facts(facts, spec, flags, _repeated("init", given, flags))
    study = load_study(out, study_text(facts, wish))
    if is_cheap := _size_bytes(spec) <= CHEAP_MODEL_BYTES:
        facts = replace(facts, batch=look_at_batch(study))
    text = study_text(facts, wish)
    parse(out, text).refuse_problems()
    write_files(out, text)
    example = [f"{wish.example} in the file is an example: change it to yours"] if wish.example else []
    batch = [printable(facts.batch) if is_cheap else LARGE]
    written = f"{out} is written, and {out.parent / SCHEMA_FILE} beside it"
    return [facts.host, *batch, *example, written, f"next: {facts.command}"]


LARGE = "the model is large: whether it can be batched is found out when the study starts"


def study_of(given: str, flags: StudyFlags, results: Path, minutes: float | None, *, is_fresh: bool) -> str | None:
    """Returns the text of the study of a model that is to run; None if `given` is a study file. Raises TunerError."""
    if not is_model(given):
        if flags.words:
            raise InputError(
                f"{', '.join(dict(flags.words))}: {given} is a study file, which says that itself",
                advice="change the file, or name a model: `tuner run MODEL --minimize latency_p99_ms`",
            )
        return None
    spec, path = model_of(given), written_file(given, results)
    wish = make_wish(flags, None, minutes)
    _refuse_other_model(path.parent, spec, is_fresh=is_fresh)
    facts = StudyFacts(
        model=written_path(given, path.parent), name=study_name(given), command=f"tuner run {shlex.quote(str(path))}"
    )
    text = study_text(complete_facts(facts, spec, flags, _repeated("run", given, flags)), wish)
    load_study(path, text)
    return text


def _repeated(command: str, given: str, flags: StudyFlags) -> str:
    """Returns the command line that was given, for advice that adds to it."""
    words = [word for pair in flags.words for word in pair]
    return shlex.join(["tuner", command, given, *words])


def written_file(given: str, results: Path) -> Path:
    """Returns the study file of a model in its results folder, which also records what was run."""
    return results / study_name(given) / WRITTEN_STUDY


def complete_facts(facts: StudyFacts, spec: ModelSpec, flags: StudyFlags, command: str) -> StudyFacts:
    """Returns the facts with the model's inputs, the flags and this host; `command` is repeated in advice.

    Raises InputError, and ModelError for a model that cannot be read.
    """
    found = describe_inputs(spec)
    given = _by_input(found, given_inputs(flags), spec.path)
    _ask_for_shapes(found, given, spec.path, command)
    return replace(
        facts,
        inputs=[_written(one, given.get(one.name, GivenInput())) for one in found],
        device=flags.device or "CPU",
        host=_host_words(host_facts()),
        cpus=flags.cpus,
        replicas=flags.replicas,
    )


def _by_input(found: Sequence[InputFacts], given: Mapping[str, GivenInput], model: str) -> dict[str, GivenInput]:
    """Returns what was given by the proper name of each input. Raises InputError for an input that is not there."""
    by_alias = {alias: one for one in found for alias in (one.name, *one.aliases)}
    if len(found) == 1:
        by_alias.setdefault("", found[0])
    named: dict[str, GivenInput] = {}
    for name, said in given.items():
        one = by_alias.get(name)
        if one is None:
            close = difflib.get_close_matches(name, by_alias, n=1, cutoff=0.5)
            question = f"did you mean {close[0]!r}? " if close else ""
            has = ", ".join(f"{one.name} {_declared(one)}" for one in found) or "none"
            raise InputError(f"{model!r} has no input {name!r}", advice=f"{question}its inputs: {has}")
        length = len(said.shape or said.layout or "")
        if one.shape is not None and length != len(one.shape):
            what = f"the shape {list(said.shape)}" if said.shape is not None else f"the layout {said.layout}"
            message = f"input {one.name!r} has {len(one.shape)} dimensions, {_declared(one)}; {what} has {length}"
            raise InputError(message, advice="give one number and one letter for each dimension")
        named[one.name] = said
    return named


def _ask_for_shapes(found: Sequence[InputFacts], given: Mapping[str, GivenInput], model: str, command: str) -> None:
    """Raises InputError if nothing fixes a dimension, with a line to paste that fixes all of them."""
    words, reasons = [], []
    for one in found:
        said = given.get(one.name, GivenInput())
        if said.shape is not None or not replace(one, layout=said.layout or one.layout).is_open:
            continue
        proposal = propose_shape(one, said.layout)
        words.append(f"--input {shlex.quote(f'{one.name}={proposal.text}')}")
        if proposal.layout is not None and said.layout is None and one.layout is None:
            words.append(f"--layout {shlex.quote(f'{one.name}={proposal.layout}')}")
        reasons += [f"{one.name}: {proposal.reason}"] if proposal.reason else []
    if not words:
        return
    open_inputs = ", ".join(f"{one.name} {_declared(one)}" for one in found if f"{one.name}=" in " ".join(words))
    why = f" The proposal: {'; '.join(reasons)}." if reasons else ""
    unknown = " Put numbers for the question marks." if any("?" in word for word in words) else ""
    raise InputError(
        f"{model!r} leaves dimensions open: {open_inputs}. One request must have a shape.",
        advice=f"Check the numbers and add them to the command.{why}{unknown}\n           {command} {' '.join(words)}",
    )


def _declared(one: InputFacts) -> str:
    if one.shape is None:
        return "[...]"
    return "[" + ",".join("?" if length is None else str(length) for length in one.shape) + "]"


def _written(one: InputFacts, said: GivenInput) -> WrittenInput:
    layout = said.layout or one.layout
    shape = said.shape if said.shape is not None else tuple(1 if n is None else n for n in one.shape or ())
    declared = "" if one.shape is not None and list(one.shape) == list(shape) else _declared(one)
    return WrittenInput(
        name=one.name, shape=shape, layout=layout, kind=one.kind, declared=declared, table_rows=one.table_rows
    )


def _host_words(host: HostFacts) -> str:
    quota = "without a quota" if host.cpu_quota is None else f"under a quota of {host.cpu_quota:g} CPUs"
    return f"This process may use {host.cpus_allowed} CPUs ({host.cpu_list}) {quota}: found here, and obeyed."


def _size_bytes(spec: ModelSpec) -> int:
    path = locate(spec)
    if path is None:
        return 0
    files = saved_model_files(path) if path.is_dir() else [path, *weights_files(path)]
    return sum(file.stat().st_size for file in files)


def look_at_batch(study: Study) -> str:
    """Returns a sentence on whether two samples in one request are legal, by running the model. Raises TunerError."""
    with WorkerBench(study.model, conditions=study.conditions) as bench:
        facts = bench.inspect(study.device, [2])
    is_legal = "a batch of 2 is legal" if facts.batch_legal else "no batch is legal"
    return f"{is_legal}: {facts.batch_reason}" if facts.batch_reason else is_legal


def refuse_existing(out: Path) -> None:
    """Raises InputError if a file is there already, OutputError if none can be written there."""
    if out.exists() or out.is_symlink():
        raise InputError(f"{out} exists", advice="-o FILE writes another one; this one stays as it is")
    if not out.parent.is_dir():
        raise OutputError(f"there is no folder {out.parent}", advice="make it, or write elsewhere: -o FILE")
    if not os.access(out.parent, os.W_OK):
        raise OutputError(f"cannot write to {out.parent}: no right", advice="write elsewhere: -o FILE")
    schema = out.parent / SCHEMA_FILE
    if schema.exists() and not _is_schema(schema):
        raise InputError(f"{schema} exists and is no schema of study files", advice="write elsewhere: -o FILE")


def _is_schema(path: Path) -> bool:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("title") == json_schema()["title"]


def write_files(out: Path, text: str) -> None:
    """Writes the schema, then the study file; a study file that cannot be written leaves no new schema behind."""
    schema = out.parent / SCHEMA_FILE
    is_new = not schema.exists()
    write_text(schema, json.dumps(json_schema(), indent=2) + "\n")
    try:
        write_text(out, text)
    except BaseException:
        if is_new:
            schema.unlink(missing_ok=True)
        raise


def _refuse_other_model(folder: Path, spec: ModelSpec, *, is_fresh: bool) -> None:
    """Raises StudyChangedError if the folder holds a study of another model, before anything slow happens."""
    if is_fresh or not (folder / "environment.json").is_file():
        return
    if read_environment(folder)["identity"].get("model") != sha256(spec):
        raise StudyChangedError(
            f"{folder} holds a study of another model, or of another version of {spec.path!r}",
            advice="--results DIR keeps both; --fresh moves the earlier one aside",
        )
