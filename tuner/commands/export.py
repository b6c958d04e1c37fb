"""Writes a configuration as another program reads it, and says what is lost: `tuner export`."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tuner.deploy.apply import refused_properties
from tuner.deploy.best import Best, BestInput
from tuner.deploy.best_file import load_best
from tuner.deploy.differences import host_differences, model_differences
from tuner.deploy.document import write_whole
from tuner.deploy.export.exporter import Exporter, has_file, model_path
from tuner.deploy.export.targets import EXPORTERS
from tuner.deploy.front_file import FrontFile, FrontPoint, is_front, load_front, parse_bound, pick
from tuner.deploy.quoting import is_writable
from tuner.deploy.words import NOT_KEPT
from tuner.errors import BestFileError, InputError, NoAnswerError, OutputError


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """Holds the options of `tuner export`."""

    target: str | None
    """Name of the exporter."""
    out: Path | None = None
    """Folder to write to; None prints the files."""
    point: str | None = None
    """Name of a point of front.yaml; None for its knee."""
    picks: Sequence[str] = ()
    """Bounds that choose a point of front.yaml, as `latency_p90_ms<=8`."""
    strict: bool = False
    """True refuses to export what the target cannot express, or what does not fit the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Holds what `tuner export` prints."""

    notes: tuple[str, ...]
    """Lines for stderr: what is lost, what does not fit this host."""
    text: str
    """Text for stdout: the files, or the names of the files written."""


def list_targets() -> str:
    """Returns one line for each target."""
    width = max(map(len, EXPORTERS))
    return "".join(f"{name:{width}}  {exporter.summary}\n" for name, exporter in EXPORTERS.items())


def export_best(path: Path | None, options: ExportOptions) -> Answer:
    """Exports best.yaml, or a point of front.yaml, and writes the files if `options.out` says where.

    Raises BestFileError for the file, InputError for an option or a file that exists, NoAnswerError if `strict` and
    something is lost or does not fit, OutputError if the files cannot be written.
    """
    if path is None:
        raise InputError("no file is given", advice="tuner export BEST.yaml --to TARGET; --list says which there are")
    exporter = _exporter(options.target)
    best = _chosen(path, options)
    _refuse_unwritable(best, path)
    exported = exporter.export(best)
    lost = [f"{exporter.name} cannot express {line}" for line in exported.unsupported]
    doubts = [*model_differences(best), *refused_properties(best)]
    if options.strict and (lost or doubts):
        raise NoAnswerError("\n".join([*lost, *doubts]), advice="nothing was written; without --strict these are notes")
    broken = [f"{NOT_KEPT}: {best.broken}"] if best.broken else []
    notes = [*lost, *(f"warning: {line}" for line in (*broken, *doubts, *host_differences(best)))]
    if options.out is None:
        return Answer(notes=tuple(notes), text=_printed(exported.files))
    return Answer(notes=tuple(notes), text=_write(options.out, exported.files))


def _exporter(name: str | None) -> Exporter:
    if name in EXPORTERS:
        return EXPORTERS[name]
    allowed = f"allowed: {', '.join(EXPORTERS)}"
    if name is None:
        raise InputError("no target is given", advice=f"say --to TARGET; {allowed}")
    close = difflib.get_close_matches(name, EXPORTERS, n=1)
    question = f"did you mean {close[0]}? " if close else ""
    raise InputError(f"unknown target {name!r}; {question}{allowed}", advice="`tuner export --list` says what each is")


def _chosen(path: Path, options: ExportOptions) -> Best:
    """Returns the configuration of best.yaml, or of the point of front.yaml that the options choose."""
    if not is_front(path):
        if options.point is not None or options.picks:
            raise InputError(
                f"{path} is one configuration: there is no point to choose",
                advice="--point and --pick go with the front.yaml of a study with several objectives",
            )
        return load_best(path)
    front = load_front(path)
    best = _point(front, path, options).best
    # There is no file of this point yet, so its model must be found without one.
    model = replace(best.model, path=model_path(best)) if has_file(best) else best.model
    return replace(best, model=model, source=None)


def _point(front: FrontFile, path: Path, options: ExportOptions) -> FrontPoint:
    if options.point is not None and options.picks:
        raise InputError("--point and --pick both choose a point", advice="give one of them")
    points = {point.name: point for point in front.points}
    if options.picks:
        measured = front.points[0].metrics if front.points else {}
        common = [name for name in measured if all(name in point.metrics for point in front.points)]
        return pick(front, [parse_bound(text, common) for text in options.picks])
    name = front.knee if options.point is None else options.point
    if name is None:
        raise NoAnswerError(
            f"{path} has no knee: none of its points may be deployed",
            advice=f"--point chooses one: {', '.join(points)}",
        )
    if name not in points:
        raise InputError(f"{path} has no point {name!r}; allowed: {', '.join(points)}")
    return points[name]


def _refuse_unwritable(best: Best, path: Path) -> None:
    """Raises BestFileError for text that no file and no command line can hold."""
    inputs: Mapping[str, BestInput] = best.inputs
    texts = [best.model.path, best.device, *inputs, *best.properties, *map(str, best.properties.values())]
    texts += [str(value) for value in best.deployment.values()]
    for text in texts:
        if not is_writable(text):
            raise BestFileError(
                f"{path}: {text!r} holds a character that no file and no command line can hold",
                advice="Correct the file, or let `tuner run` write it again.",
            )


def _printed(files: Mapping[str, str]) -> str:
    """Returns the text of one file, or of several below their names, as `head` prints them."""
    if len(files) == 1:
        return next(iter(files.values()))
    return "\n".join(f"==> {name} <==\n{text}" for name, text in files.items())


def _write(folder: Path, files: Mapping[str, str]) -> str:
    """Writes the files into a folder and returns their paths, a line each. Nothing is written where one exists."""
    if os.path.lexists(folder) and not folder.is_dir():
        raise InputError(f"{folder} exists and is no folder", advice="--out names a folder; it may be a new one")
    paths = {folder / name: text for name, text in files.items()}
    if taken := [str(path) for path in paths if os.path.lexists(path)]:
        raise InputError(
            f"{', '.join(taken)}: exists already, and nothing was written",
            advice="Remove it, or name another folder with --out.",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror or error}") from error
    for path, text in paths.items():
        write_whole(path, text)
        if path.suffix == ".sh":
            path.chmod(0o755)
    return "".join(f"{path}\n" for path in paths)
