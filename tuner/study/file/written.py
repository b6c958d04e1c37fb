"""Writes the text of a study file from facts and a wish, with comments that explain its sections.

Responsible for YAML that `load_study` accepts, whatever names hold. Must not look anything up: facts come in.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from tuner.bench.metrics import METRICS
from tuner.model.ports import PLAIN_KEY, WORDS
from tuner.study.file.recipes import Wish

COLUMNS = 110
"""Largest length of a comment line in characters, which an editor shows beside its explorer."""
LONGEST_SIMPLE_KEY = 1000
"""Largest length in characters of a key on one line with its value: YAML 1.2 ends simple keys at 1024."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenInput:
    """Describes one input as the file is to state it."""

    name: str
    shape: Sequence[int]
    layout: str | None = None
    kind: str = "f32"
    declared: str = ""
    """Shape as the model declares it, such as `[?,3,?,?]`; empty if the file says the same."""
    table_rows: int | None = None
    """Number of rows of the table that the values index; None for values that index nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFacts:
    """Holds what a study file states beside the wish: model, device, host and conditions."""

    model: str
    """Path of the model as the file states it."""
    inputs: Sequence[WrittenInput] = ()
    device: str = "CPU"
    name: str | None = None
    """Name of the study; None for the name of the file."""
    command: str = ""
    """Command line that runs the study, for the first comment."""
    batch: str = ""
    """Sentence on batches, empty if nothing is known of them."""
    host: str = ""
    """Sentence on the CPUs and the quota that were found."""
    cpus: float | None = None
    """CPU quota of each replica; None if none is stated."""
    replicas: int | None = None
    schema_file: str | None = None
    """Name of the JSON schema beside the file; None if there is none."""


def study_text(facts: StudyFacts, wish: Wish) -> str:
    """Returns a whole study file that asks for `wish`."""
    sections = [_head(facts, wish), _model(facts), _device(facts), _objective(wish), _load(wish), _end(facts, wish)]
    return "\n".join(line for lines in sections for line in [*lines, ""] if lines).rstrip("\n") + "\n"


def scalar(text: str) -> str:
    r"""Returns a text as a YAML value, plain if possible, else in double quotes with escapes."""
    if PLAIN_KEY.fullmatch(text) and text.lower() not in WORDS:
        return text
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def comment(text: str, indent: int = 0) -> list[str]:
    """Returns a text as lines of comments; what cannot be printed is escaped, so that no name ends the comment."""
    begin = " " * indent + "# "
    lines = textwrap.wrap(
        printable(text), COLUMNS, initial_indent=begin, subsequent_indent=begin, break_on_hyphens=False
    )
    return lines or [begin.rstrip()]


def printable(text: str) -> str:
    """Returns a text on one line without control characters, which are escaped."""
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def number(value: float) -> str:
    """Returns a number as a person writes it: 20 for 20.0."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))


def wish_words(wish: Wish) -> str:
    """Returns what a study is to find, in one phrase."""
    wanted = " and ".join(f"{_direction(metric)} {metric}" for metric in wish.metrics)
    bounds = ", ".join(f"{x.metric} {'<=' if x.bound == 'max' else '>='} {number(x.value)}" for x in wish.limits)
    rate = f" at {number(wish.rate_per_s)} requests/s ({wish.pattern})" if wish.rate_per_s is not None else ""
    return f"{wanted}{rate}{f' with {bounds}' if bounds else ''}"


def _direction(metric: str) -> str:
    return "maximize" if METRICS[metric].is_higher_better else "minimize"


def _head(facts: StudyFacts, wish: Wish) -> list[str]:
    lines = [f"# yaml-language-server: $schema={facts.schema_file}"] if facts.schema_file else []
    lines += comment(f"The study of {facts.model}: {wish_words(wish)}.")
    if wish.example:
        lines += comment(f"CHANGE {wish.example} to yours: what stands here is an example.")
    if facts.command:
        lines += [*comment("Start it, or resume it after Ctrl-C, with"), "#", f"#     {printable(facts.command)}", "#"]
    lines += [*comment("`tuner schema` prints what else a study file may say."), "", "schema_version: 1"]
    return [*lines, f"name: {_name(facts.name)}"] if facts.name else lines


def _name(name: str) -> str:
    # A name such as 1e5 or null would be a number or nothing.
    return name if re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name) and name.lower() not in WORDS else f'"{name}"'


def _model(facts: StudyFacts) -> list[str]:
    lines = ["model:", f"  path: {scalar(facts.model)}"]
    if facts.inputs:
        lines.append("  inputs:")
    for one in facts.inputs:
        lines += _input(one)
    return [*lines, *(comment(facts.batch, 2) if facts.batch else ())]


def _input(one: WrittenInput) -> list[str]:
    words = [one.kind]
    if one.declared:
        words.append(f"the model declares {one.declared}; the shape below is one request")
    if one.layout and "N" in one.layout:
        words.append("N marks the batch")
    value = f"shape: [{', '.join(map(str, one.shape))}]"
    value += f", layout: {scalar(one.layout)}" if one.layout else ""
    if one.table_rows:
        words.append(f"ids of a table of {one.table_rows} rows")
        value += f", range: [0, {one.table_rows - 1}]"
    key = scalar(one.name)
    lines = comment("; ".join(words), 4)
    if len(key) > LONGEST_SIMPLE_KEY:
        return [*lines, f"    ? {key}", f"    : {{{value}}}"]
    return [*lines, f"    {key}: {{{value}}}"]


def _device(facts: StudyFacts) -> list[str]:
    lines = [*comment("As OpenVINO names it: CPU, GPU, GPU.0, NPU, AUTO:GPU,CPU."), f"device: {scalar(facts.device)}"]
    if facts.host:
        lines += ["", *comment(facts.host)]
    stated = [f"  cpus: {number(facts.cpus)}"] if facts.cpus is not None else []
    stated += [f"  replicas: {facts.replicas}"] if facts.replicas is not None else []
    if not stated:
        return [*lines, "# deployment: {cpus: 1.0, replicas: 2}"]
    return [*lines, "deployment:", *stated]


def _objective(wish: Wish) -> list[str]:
    is_front = len(wish.metrics) > 1
    lines = ["objectives:" if is_front else "objective:"]
    lines += [f"  {'- ' if is_front else ''}{_direction(metric)}: {metric}" for metric in wish.metrics]
    indent = "" if is_front else "  "
    lines += [f"{indent}subject_to:"] if wish.limits else []
    by_metric: dict[str, list[str]] = {}
    for limit in wish.limits:
        by_metric.setdefault(limit.metric, []).append(f"{limit.bound}: {number(limit.value)}")
    lines += [f"{indent}  {metric}: {{{', '.join(bounds)}}}" for metric, bounds in by_metric.items()]
    if wish.limits:
        return [*comment("What is better, and the limits that the deployment must keep."), *lines]
    below = ", beside `objectives`" if is_front else ""
    hint = f"What is better. A limit goes below{below}: subject_to: {{latency_p99_ms: {{max: 20}}}}"
    return [*comment(hint), *lines]


def _load(wish: Wish) -> list[str]:
    if wish.pattern is None:
        return []
    if wish.rate_per_s is None:
        words, value = (
            "Requests arrive by themselves; the largest rate that keeps the limits is looked for.",
            "find_max: true",
        )
    else:
        words = "Requests arrive by themselves, and latency counts from the arrival."
        value = f"rate_per_s: {number(wish.rate_per_s)}"
    return [*comment(words), "load:", f"  {wish.pattern}: {{{value}}}"]


def _end(facts: StudyFacts, wish: Wish) -> list[str]:
    return [
        *comment("What runs today, to be measured beside default, LATENCY and THROUGHPUT:"),
        "# baselines: {today: {NUM_STREAMS: 2, infer_requests: 4}}",
        "",
        *comment("What may be tried: `auto` takes what this device and the CPUs of this process allow."),
        "space: auto",
        "",
        *comment("When to stop, in total over all resumes. More time finds and proves smaller gains."),
        "budget:",
        f"  minutes: {number(wish.minutes)}",
    ]
