"""Reads and writes front.yaml, and picks one of its points: each point is a whole best.yaml.

Responsible for the keys of the file and for bounds. Must not know OpenVINO.
"""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from tuner.deploy.best import SCHEMA_VERSION, Best
from tuner.deploy.best_file import VERDICTS, best_content, read_best
from tuner.deploy.document import format_content, parse_content, write_whole
from tuner.deploy.fields import Fields, is_number
from tuner.errors import BestFileError, InputError, NoAnswerError

HEADER = """\
# Every point that no other one beat, in the order of the first objective. Each `best` is a whole best.yaml, and the
# file best.yaml holds the knee.
# `tuner show FOLDER --pick 'METRIC<=NUMBER'` writes another one as a file of its own, without measuring again.
"""
"""Comment at the top of front.yaml, for a person who opens the file first."""
BOUND = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(<=|>=)\s*([0-9.eE+-]+)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontPoint:
    """Describes one point of a front."""

    name: str
    """Name of a baseline, or `trial 12`."""
    metrics: Mapping[str, float]
    """Every metric that the confirmation measured."""
    best: Best

    @property
    def is_baseline(self) -> bool:
        """True if the point is a baseline."""
        return self.name in self.best.baselines


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontFile:
    """Holds the content of one front.yaml."""

    study: str
    verdict: Literal["tuned", "baseline"]
    reason: str
    objectives: Mapping[str, Literal["maximize", "minimize"]]
    reference: str
    knee: str | None
    """Name of the point in best.yaml; None if no point may be deployed."""
    sessions: int
    """Number of sessions that measured all points side by side; 0 if the baselines alone are the front."""
    points: tuple[FrontPoint, ...]
    removed: Mapping[str, str] = field(default_factory=dict)
    """Reason for each configuration that was confirmed and is not on the front. The key in the file is `left`."""
    source: Path | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """States a condition on a picked point: `latency_p90_ms<=8`."""

    metric: str
    is_upper: bool
    value: float

    def __str__(self) -> str:
        return f"{self.metric}{'<=' if self.is_upper else '>='}{self.value:g}"

    @property
    def slug(self) -> str:
        """Returns the bound as a part of a file's name."""
        return f"{self.metric}-{'at-most' if self.is_upper else 'at-least'}-{self.value:g}"

    def keeps(self, metrics: Mapping[str, float]) -> bool:
        """Returns True if the metrics are within the bound."""
        value = metrics[self.metric]
        return value <= self.value if self.is_upper else value >= self.value


def load_front(path: str | os.PathLike[str]) -> FrontFile:
    """Reads front.yaml.

    Raises BestFileError with everything wrong: no file, no YAML, a newer `schema_version`, missing or wrong values.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a text file"
        raise BestFileError(
            f"cannot read {file}: {reason}", advice="a finished `tuner run` of a study with `objectives:` writes it"
        ) from error
    return _with_source(parse_front(text, str(file)), Path(os.path.abspath(file)))


def is_front(path: Path) -> bool:
    """Returns True if a file holds a front, False for every other file, also one that is missing or damaged."""
    try:
        content = parse_content(path.read_text(encoding="utf-8"), str(path), "front.yaml")
    except (OSError, UnicodeDecodeError, BestFileError):
        return False
    return "points" in content


def write_front(path: str | os.PathLike[str], front: FrontFile) -> None:
    """Writes front.yaml in one step. Raises OutputError if that fails, ValueError if it would not be read back."""
    file = Path(path)
    text = format_front(front)
    if parse_front(text, str(file)) != front:
        raise ValueError("front.yaml would not read back as it was written")
    write_whole(file, text)


def format_front(front: FrontFile) -> str:
    """Returns the text of front.yaml."""
    content: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "study": front.study,
        "verdict": front.verdict,
        "reason": front.reason,
        "objectives": dict(front.objectives),
        "reference": front.reference,
        "knee": front.knee,
        "sessions": front.sessions,
        "left": dict(front.removed),
        "points": [
            {"name": point.name, "metrics": dict(point.metrics), "best": best_content(point.best)}
            for point in front.points
        ],
    }
    return HEADER + format_content(content)


def parse_front(text: str, name: str) -> FrontFile:
    """Returns the values of a front.yaml's text; `name` is for messages. Raises BestFileError."""
    problems: list[str] = []
    fields = Fields(parse_content(text, name, "front.yaml"), problems)
    fields.one_of("schema_version", (SCHEMA_VERSION,))
    directions = fields.mapping_of("objectives", "maximize or minimize", lambda v: v in ("maximize", "minimize"))
    front = FrontFile(
        study=fields.text("study"),
        verdict=fields.one_of("verdict", VERDICTS),
        reason=fields.text("reason"),
        objectives=directions,
        reference=fields.text("reference"),
        knee=fields.optional_text("knee"),
        sessions=fields.integer("sessions", 0),
        removed=fields.mapping_of("left", "text", lambda value: isinstance(value, str)),
        points=tuple(
            FrontPoint(
                name=item.text("name"),
                metrics=item.mapping_of("metrics", "a finite number", is_number),
                best=read_best(item.inside("best")),
            )
            for item in fields.items("points")
        ),
    )
    if problems:
        raise BestFileError("\n".join(f"{name}: {problem}" for problem in problems))
    return front


def parse_bound(text: str, metrics: Sequence[str], flag: str = "--pick") -> Bound:
    """Returns the bound of a text such as `latency_p90_ms<=8`, which stands after `flag` in the command line.

    Raises InputError with the allowed metrics and a close match.
    """
    found = BOUND.fullmatch(text)
    try:
        value = float(found[3]) if found else math.nan
    except ValueError:
        value = math.nan
    if found is None or not math.isfinite(value):
        raise InputError(f"{flag} {text!r} is no bound", advice="write it as 'latency_p90_ms<=8' or 'throughput>=200'")
    if found[1] not in metrics:
        close = difflib.get_close_matches(found[1], metrics, n=1)
        question = f"did you mean {close[0]}? " if close else ""
        raise InputError(f"{flag} {text!r}: unknown metric {found[1]}; {question}allowed: {', '.join(metrics)}")
    return Bound(metric=found[1], is_upper=found[2] == "<=", value=value)


def pick(front: FrontFile, bounds: Sequence[Bound]) -> FrontPoint:
    """Returns the best of the points whose measured metrics keep every bound.

    The best in the first objective without a bound counts, or in the first of all if each has a bound. Raises
    NoAnswerError with the metrics of every point if none keeps the bounds.
    """
    kept = [point for point in front.points if all(bound.keeps(point.metrics) for bound in bounds)]
    named = [bound.metric for bound in bounds]
    if not kept:
        there_is = "; ".join(
            f"{point.name}: " + ", ".join(f"{name} {point.metrics[name]:.4g}" for name in dict.fromkeys(named))
            for point in front.points
        )
        wanted = " and ".join(map(str, bounds))
        raise NoAnswerError(f"no point of the front keeps {wanted}", advice=f"there is {there_is or 'no point at all'}")
    free = [name for name in front.objectives if name not in named] or list(front.objectives)
    sign = 1 if front.objectives[free[0]] == "maximize" else -1
    return max(kept, key=lambda point: sign * point.metrics[free[0]])


def _with_source(front: FrontFile, source: Path) -> FrontFile:
    """Returns the front with its file in every point: relative model paths start at the folder of that file."""
    points = tuple(replace(point, best=replace(point.best, source=source)) for point in front.points)
    return replace(front, points=points, source=source)
