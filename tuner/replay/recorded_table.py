"""From the record of a study that measured its whole space to a table that searches can be judged on.

Knows sessions on record and what they say of speed and noise; runs nothing.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from tuner.bench.configuration import Effective, Failure
from tuner.bench.measurement import Windows
from tuner.bench.metrics import METRICS
from tuner.bench.own_parameters import OWN_PARAMETERS
from tuner.bench.simulated.table import HostNoise, Point, Row, Table, with_hints
from tuner.bench.value import Value
from tuner.errors import InputError
from tuner.records.session_log import SessionLine, read_log
from tuner.statistics.robust import mad_sd
from tuner.statistics.session_effect import pair_ratios, session_value
from tuner.study.baselines import HINTS

THROUGHPUT = METRICS["throughput"]

FEWEST_ROWS = 2

FEWEST_REPEATED = 5
"""Configurations that were measured in two sessions: fewer say nothing of what differs between two."""

USUAL_WINDOW_SD = 0.05
"""Of a second on a shared machine, where no session has two pairs."""

USUAL_COMPILE_SD, LEAST_COMPILE_SD = 0.007, 0.002
"""Where nothing was measured twice, what is usual on shared machines (measurement.md: 0.7 to 1.5 %); and what is
believed at least where two sessions agree better than their windows explain."""


def read_recorded(folder: Path) -> Table:
    """The table of a results folder: every configuration that ran beside a reference, with its mean throughput, and
    the host's noise as its windows show it. Raises InputError where there are fewer than two, or no
    baselines, and for a study under a load."""
    lines = read_log(folder / "sessions.jsonl").all_sessions()
    baselines = next((line for line in lines if line.phase == "baselines"), None)
    paired = [line for line in lines if line.phase in ("race", "search", "final") and _ran(line.session.members[0])]
    gains = _gains(paired)
    if baselines is None or len(gains) < FEWEST_ROWS:
        measured = f"{len(gains)} configurations were measured beside a reference, a table needs {FEWEST_ROWS}"
        raise InputError(
            f"{folder}: no record of a whole search: "
            + ("its baselines were not measured" if baselines is None else measured),
            advice="name a table as a CSV file, or let `tuner run` measure a whole space first: `sampler: race` and a "
            "budget in which the search ends by itself",
        )
    references = [m for line in paired if isinstance(m := line.session.members[0], Windows)]
    if any(w.served is not None for reference in references for w in reference.windows):
        raise InputError(
            f"{folder}: its requests arrived by themselves, and what was served says nothing of speed",
            advice="name the results of a study with a closed loop",
        )
    levels = [_level(reference) for reference in references]
    level = statistics.median(levels)
    points = {key: point for key, (point, _) in gains.items()}
    names = _baseline_names(baselines)
    gains.setdefault(references[0].effective.key, ({}, []))[1].append(0.0)
    parameters = dict.fromkeys(name for point in points.values() for name in point)
    rows = []
    for key, (point, values) in gains.items():
        member = next((e for e in (effective for effective, _ in names.values()) if e.key == key), None)
        whole = {name: point.get(name, _reported(member, name)) for name in parameters}
        speed = level * math.exp(statistics.fmean(values))
        here = tuple(name for name, (effective, _) in names.items() if effective.key == key)
        rows.append(Row(point=whole, throughput_per_s=speed, baselines=here))
    rows += _missing_baselines(rows, baselines, parameters, level, references[0].effective.key)
    table = Table(name=folder.name, rows=rows, noise=_noise(paired, gains, levels))
    return with_hints(table, str(folder))


def _gains(paired: Sequence[SessionLine]) -> dict[str, tuple[Point, list[float]]]:
    """Effective key -> its assignment and its log-ratio to the reference in each session."""
    found: dict[str, tuple[Point, list[float]]] = {}
    for line in paired:
        reference = line.session.members[0]
        for member, assignment in zip(line.session.members[1:], line.assignments[1:], strict=True):
            if isinstance(reference, Windows) and isinstance(member, Windows) and assignment is not None:
                value = session_value(THROUGHPUT, member, reference)
                if value is not None:
                    found.setdefault(member.effective.key, (assignment, []))[1].append(value)
    return found


def _baseline_names(line: SessionLine) -> dict[str, tuple[Effective, float]]:
    """Hint -> what the device made of it, and its throughput in the baselines' session."""
    members = dict(zip(HINTS, line.session.members, strict=False))
    return {n: (m.effective, _level(m)) for n, m in members.items() if isinstance(m, Windows) and m.windows}


def _missing_baselines(
    rows: Sequence[Row],
    line: SessionLine,
    parameters: Mapping[str, object],
    level: float,
    reference_key: str,
) -> list[Row]:
    """Baselines that no row of the space is, from their own session, in which the reference was measured too."""
    names = _baseline_names(line)
    known = {name for row in rows for name in row.baselines}
    ran = [m for m in line.session.members if isinstance(m, Windows) and m.windows]
    anchor = next(_level(m) for m in ran if m.effective.key == reference_key)
    missing: dict[str, list[str]] = {}
    for name, (effective, _) in names.items():
        if name not in known:
            missing.setdefault(effective.key, []).append(name)
    found = []
    for alike in missing.values():
        effective, speed = names[alike[0]]
        point = {parameter: _reported(effective, parameter) for parameter in parameters}
        found.append(Row(point=point, throughput_per_s=level * speed / anchor, baselines=tuple(alike)))
    return found


def _reported(effective: Effective | None, name: str) -> Value:
    """What the device reports of a parameter, as the study file would have it."""
    if effective is None:
        return None
    if name in OWN_PARAMETERS:
        return OWN_PARAMETERS[name].read(effective)
    text = effective.properties.get(name, "")
    if text.lower() in ("true", "false", "yes", "no"):
        return text.lower() in ("true", "yes")
    return int(text) if text.isdecimal() else text or None


def _ran(member: Windows | Failure) -> bool:
    return isinstance(member, Windows) and bool(member.windows)


def _level(member: Windows) -> float:
    return statistics.median(w.samples / w.duration_s for w in member.windows)


def _noise(
    paired: Sequence[SessionLine], gains: Mapping[str, tuple[Point, Sequence[float]]], levels: Sequence[float]
) -> HostNoise:
    """As `HostNoise` has it: windows from the spread of pairs by MAD, brought to one second; compiles from what is left
    of the spread between sessions of one configuration; the level from the reference's."""
    spreads, seconds, pairs = [], [], []
    for line in paired:
        reference, *others = line.session.members
        for member in others:
            if isinstance(member, Windows) and isinstance(reference, Windows):
                ratios = pair_ratios(THROUGHPUT, member.windows, reference.windows)
                if len(ratios) > 1:
                    spreads.append(mad_sd(ratios))
                    pairs.append(len(ratios))
                    seconds += [w.duration_s for w in (*member.windows, *reference.windows)]
    if not spreads:
        return HostNoise(window_sd=USUAL_WINDOW_SD, drift_sd=0.0, compile_sd=USUAL_COMPILE_SD)
    pair_sd = statistics.median(spreads)
    repeated = [statistics.variance(values) for _, values in gains.values() if len(values) > 1]
    left = 2.0 * USUAL_COMPILE_SD**2
    if len(repeated) >= FEWEST_REPEATED:
        left = statistics.fmean(repeated) - pair_sd**2 / statistics.median(pairs)
    return HostNoise(
        window_sd=pair_sd / math.sqrt(2.0) * math.sqrt(statistics.median(seconds)),
        drift_sd=mad_sd([math.log(level) for level in levels]) if len(levels) > 1 else 0.0,
        compile_sd=max(LEAST_COMPILE_SD, math.sqrt(max(0.0, left) / 2.0)),
    )
