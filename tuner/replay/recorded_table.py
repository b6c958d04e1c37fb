"""Turns the record of a study that measured its whole space into a table on which strategies are replayed.

Responsible for speeds and noise of recorded sessions. Must not run anything.
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
"""Smallest number of configurations of a table."""

FEWEST_REPEATED = 5
"""Smallest number of repeated configurations from which the spread between compiles is computed."""

USUAL_WINDOW_SD = 0.05
"""Standard deviation (log-ratio) of a window of one second on a shared machine, used if no session has two pairs."""

USUAL_COMPILE_SD = 0.007
"""Standard deviation (log-ratio) between two compiles, used if too few configurations were measured twice.

Shared machines have 0.7 to 1.5 % (tuner/README.md, calibration).
"""

LEAST_COMPILE_SD = 0.002
"""Smallest standard deviation between two compiles, used if sessions agree better than their windows explain."""


def read_recorded(folder: Path) -> Table:
    """Returns the table of a results folder.

    It has every configuration that ran beside a reference, with its mean throughput, and the noise of the host as the
    windows show it. Raises InputError for fewer than `FEWEST_ROWS` configurations, without baselines, and for a study
    under a load.
    """
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
    throughputs = [_throughput(reference) for reference in references]
    throughput = statistics.median(throughputs)
    points = {key: point for key, (point, _) in gains.items()}
    hints = _measured_hints(baselines)
    gains.setdefault(references[0].effective.key, ({}, []))[1].append(0.0)
    parameters = dict.fromkeys(name for point in points.values() for name in point)
    rows = []
    for key, (point, values) in gains.items():
        member = next((e for e in (effective for effective, _ in hints.values()) if e.key == key), None)
        whole = {name: point.get(name, _reported(member, name)) for name in parameters}
        speed = throughput * math.exp(statistics.fmean(values))
        here = tuple(name for name, (effective, _) in hints.items() if effective.key == key)
        rows.append(Row(point=whole, throughput_per_s=speed, baselines=here))
    rows += _missing_baselines(rows, baselines, parameters, throughput, references[0].effective.key)
    table = Table(name=folder.name, rows=rows, noise=_noise(paired, gains, throughputs))
    return with_hints(table, str(folder))


def _gains(paired: Sequence[SessionLine]) -> dict[str, tuple[Point, list[float]]]:
    """Returns effective key -> assignment, and log-ratio to the reference in each session."""
    found: dict[str, tuple[Point, list[float]]] = {}
    for line in paired:
        reference = line.session.members[0]
        for member, assignment in zip(line.session.members[1:], line.assignments[1:], strict=True):
            if isinstance(reference, Windows) and isinstance(member, Windows) and assignment is not None:
                value = session_value(THROUGHPUT, member, reference)
                if value is not None:
                    found.setdefault(member.effective.key, (assignment, []))[1].append(value)
    return found


def _measured_hints(line: SessionLine) -> dict[str, tuple[Effective, float]]:
    """Returns each hint that ran in the session of the baselines -> its effective configuration and throughput."""
    members = dict(zip(HINTS, line.session.members, strict=False))
    return {n: (m.effective, _throughput(m)) for n, m in members.items() if isinstance(m, Windows) and m.windows}


def _missing_baselines(
    rows: Sequence[Row],
    line: SessionLine,
    parameters: Mapping[str, object],
    throughput: float,
    reference_key: str,
) -> list[Row]:
    """Returns rows of the baselines that are outside of the space, from the session of the baselines.

    The reference was measured in that session too, and relates its throughputs to those of the table.
    """
    hints = _measured_hints(line)
    known = {name for row in rows for name in row.baselines}
    ran = [m for m in line.session.members if isinstance(m, Windows) and m.windows]
    common_reference = next(_throughput(m) for m in ran if m.effective.key == reference_key)
    missing: dict[str, list[str]] = {}
    for name, (effective, _) in hints.items():
        if name not in known:
            missing.setdefault(effective.key, []).append(name)
    found = []
    for alike in missing.values():
        effective, speed = hints[alike[0]]
        point = {parameter: _reported(effective, parameter) for parameter in parameters}
        found.append(Row(point=point, throughput_per_s=throughput * speed / common_reference, baselines=tuple(alike)))
    return found


def _reported(effective: Effective | None, name: str) -> Value:
    """Returns the value that the device reports of a parameter, as a study file would have it."""
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


def _throughput(member: Windows) -> float:
    return statistics.median(w.samples / w.duration_s for w in member.windows)


def _noise(
    paired: Sequence[SessionLine], gains: Mapping[str, tuple[Point, Sequence[float]]], throughputs: Sequence[float]
) -> HostNoise:
    """Returns the noise of the host.

    `window_sd` comes from the MAD of the pairs of a session, scaled to windows of one second. `compile_sd` comes from
    the variance between sessions of one configuration that the windows do not explain. `drift_sd` comes from the
    throughputs of the reference.
    """
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
    excess = 2.0 * USUAL_COMPILE_SD**2
    if len(repeated) >= FEWEST_REPEATED:
        excess = statistics.fmean(repeated) - pair_sd**2 / statistics.median(pairs)
    return HostNoise(
        window_sd=pair_sd / math.sqrt(2.0) * math.sqrt(statistics.median(seconds)),
        drift_sd=mad_sd([math.log(value) for value in throughputs]) if len(throughputs) > 1 else 0.0,
        compile_sd=max(LEAST_COMPILE_SD, math.sqrt(max(0.0, excess) / 2.0)),
    )
