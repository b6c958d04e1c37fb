"""Tables of configurations with their true speed: a bench without hardware whose best configuration is known.

Responsible for the table's format and for the row of a configuration. Must not know spaces, searches or verdicts.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tuner.bench.configuration import DeploymentConfig, Effective, api_of
from tuner.bench.own_parameters import OWN_PARAMETERS, own_values
from tuner.bench.simulated.synthetic import CompileEffect, Drift, Effect, FakeClock, Noise, SyntheticBench
from tuner.bench.value import Value, closest
from tuner.errors import InputError

THROUGHPUT, BASELINES, NOISE = "throughput_per_s", "baselines", "# noise:"
"""Columns of the speed and of the baselines' names, and the beginning of the line with the noise."""

HINTS = ("default", "LATENCY", "THROUGHPUT")
"""Baselines that a table must mark."""

IGNORED = ("latency_p50_ms", "latency_p99_ms")
"""Columns that recorded tables may have and that are not replayed."""

Point = Mapping[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostNoise:
    """Noise of a host, as standard deviations of log-ratios."""

    window_sd: float
    """Standard deviation of a window of one second."""
    drift_sd: float
    """Standard deviation of the host's drift."""
    compile_sd: float
    """Standard deviation between two compiles of one configuration."""
    drift_time_s: float = 60.0
    """Time constant of the drift."""

    def effects(self, seed: int) -> list[Effect]:
        """Returns the disturbances of a simulated bench."""
        return [
            Noise(self.window_sd, seed=3 * seed),
            Drift(self.drift_sd, time_constant_s=self.drift_time_s, seed=3 * seed + 1),
            CompileEffect(self.compile_sd, seed=3 * seed + 2),
        ]


NOISES = {
    "quiet": HostNoise(window_sd=0.015, drift_sd=0.01, compile_sd=0.004),
    "noisy": HostNoise(window_sd=0.05, drift_sd=0.20, compile_sd=0.007),
}
"""Noise of a server without and with neighbours, as in the tables of simulated servers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One configuration: `point` maps parameters to values, `baselines` names the baselines that resolve to it."""

    point: Point
    throughput_per_s: float
    baselines: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Table:
    """All distinct configurations of a space, measured or made up; all rows have the same parameters in one order."""

    name: str
    rows: Sequence[Row]
    noise: HostNoise | None = None
    """Noise of the host; None if the table does not say."""
    _found: dict[str, Row] = field(default_factory=dict)

    @cached_property
    def _by_point(self) -> dict[tuple[tuple[bool, Value], ...], Row]:
        """Rows by their values, because most configurations are exactly one of them."""
        return {_values(row.point.values()): row for row in self.rows}

    @property
    def parameters(self) -> dict[str, tuple[Value, ...]]:
        """Values of each parameter: numbers ascending, others in the order of the rows."""
        found: dict[str, tuple[Value, ...]] = {}
        for name in self.rows[0].point:
            values = list(dict.fromkeys(row.point[name] for row in self.rows))
            if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
                values.sort(key=lambda v: float(v or 0))
            found[name] = tuple(values)
        return found

    @cached_property
    def best(self) -> Row:
        """Row with the largest throughput."""
        return max(self.rows, key=lambda row: row.throughput_per_s)

    @cached_property
    def baselines(self) -> dict[str, Row]:
        """Row of each baseline."""
        return {name: row for row in self.rows for name in row.baselines}

    @cached_property
    def reference(self) -> Row:
        """Baseline with the largest throughput."""
        return max(self.baselines.values(), key=lambda row: row.throughput_per_s)

    def sample(self, rows: int, *, seed: int) -> Table:
        """Returns a smaller table of the same host: the baselines and `rows` other rows at random."""
        others = [row for row in self.rows if not row.baselines]
        chosen = random.Random(seed).sample(others, min(rows, len(others)))
        marked = [row for row in self.rows if row.baselines]
        return Table(name=f"{self.name}-{rows}", rows=[*marked, *chosen], noise=self.noise)

    def gain_log(self, row: Row) -> float:
        """Returns the true gain over the reference, as a log-ratio."""
        return math.log(row.throughput_per_s / self.reference.throughput_per_s)

    def regret_log(self, row: Row) -> float:
        """Returns the log-ratio of the best row to this one; 0 for the best."""
        return math.log(self.best.throughput_per_s / row.throughput_per_s)

    def row_of(self, config: DeploymentConfig) -> Row:
        """Returns the row of a configuration: a hint's baseline, else the nearest row.

        The nearest row has, parameter by parameter, the same value, else the closest number at or below it, else the
        smallest, as a device clamps values that are too large.
        """
        found = self._found.get(config.key)
        if found is None:
            found = self._found[config.key] = self._nearest(config)
        return found

    def _nearest(self, config: DeploymentConfig) -> Row:
        hint = config.properties.get("PERFORMANCE_HINT")
        explicit = {**config.properties, **{name: getattr(config, name) for name in OWN_PARAMETERS}}
        if hint is not None or not config.properties:
            base = self.baselines["default" if hint is None else str(hint)]
            if config.infer_requests is None and config.batch_size == 1:
                return base
            explicit = {**base.point, "batch_size": config.batch_size}
            explicit["infer_requests"] = config.infer_requests or base.point["infer_requests"]
        if row := self._by_point.get(_values(map(explicit.get, self.rows[0].point))):
            return row
        rows = list(self.rows)
        for name in self.rows[0].point:
            value = closest([row.point[name] for row in rows], explicit.get(name))
            rows = [row for row in rows if row.point[name] == value]
        return rows[0]

    def bench(self, noise: HostNoise, *, seed: int, clock: FakeClock | None = None) -> SyntheticBench:
        """Returns a simulated bench with the true speeds and with `noise`, in virtual time."""
        return SyntheticBench(
            surface=lambda config: self.row_of(config).throughput_per_s,
            resolver=self.resolve,
            effects=noise.effects(seed),
            clock=clock or FakeClock(),
        )

    def resolve(self, config: DeploymentConfig) -> Effective:
        """Returns what the device of the table would report."""
        row = self.row_of(config)
        others = {n: v for n, v in config.properties.items() if n not in row.point and n != "PERFORMANCE_HINT"}
        properties = {**{n: v for n, v in row.point.items() if n not in OWN_PARAMETERS}, **others}
        own = own_values({"infer_requests": 1, "replicas": 1}, row.point)
        return Effective(
            properties={name: str(value) for name, value in properties.items()},
            api=api_of(config.api, own["infer_requests"]),
            **own,
        )


def null_table(row: Row, copies: int) -> Table:
    """Returns a table of `copies` of one configuration and two baselines of equal speed: every claimed gain is false.

    Rows differ only in CPU_RUNTIME_CACHE_CAPACITY, which has no effect. As on a CPU, LATENCY is what sets nothing.
    """
    names = {0: ("default", "LATENCY"), copies + 1: ("THROUGHPUT",)}
    rows = [
        Row(
            point={**row.point, "CPU_RUNTIME_CACHE_CAPACITY": size},
            throughput_per_s=row.throughput_per_s,
            baselines=names.get(size, ()),
        )
        for size in range(copies + 2)
    ]
    return Table(name=f"{copies} copies", rows=rows)


def read_table(path: Path) -> Table:
    """Reads a CSV, plain or gzipped. Raises InputError if the file is no table.

    It has a column for each parameter, `throughput_per_s`, optionally `baselines` (names, separated by spaces) and a
    first line `# noise: window_sd=... drift_sd=... compile_sd=...`. Without baselines, the hints are those of a 64-core
    server: THROUGHPUT is the better of 16 and 32 pinned streams on 64 threads, LATENCY one stream.
    """
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}", advice="a table is a CSV, plain or gzipped") from error
    head, _, body = text.partition("\n") if text.startswith(NOISE) else ("", "", text)
    try:
        noise = _noise(head) if head else None
        rows = [_row(record) for record in csv.DictReader(io.StringIO(body))]
    except (TypeError, ValueError, KeyError) as error:
        raise InputError(f"{path} is no table: {error}", advice=f"it needs a column {THROUGHPUT}") from error
    if not rows:
        raise InputError(f"{path} has no rows", advice="every line is one configuration")
    if not any(row.baselines for row in rows):
        rows = _with_server_hints(path, rows)
    return with_hints(Table(name=path.name.split(".")[0], rows=rows, noise=noise), str(path))


def with_hints(table: Table, where: str) -> Table:
    """Returns the table. Raises InputError if it does not mark the rows of all three hints."""
    if missing := [name for name in HINTS if name not in table.baselines]:
        advice = f"mark the row that each hint is in a column {BASELINES}; default is {{}}"
        raise InputError(f"{where} names no baselines {', '.join(missing)}", advice=advice)
    return table


def write_table(path: Path, table: Table) -> None:
    """Writes the table in the format that `read_table` reads."""
    with path.open("w", newline="", encoding="utf-8") as file:
        if table.noise is not None:
            n = table.noise
            words = f"window_sd={n.window_sd:.4f} drift_sd={n.drift_sd:.4f} compile_sd={n.compile_sd:.4f}"
            file.write(f"{NOISE} {words} drift_time_s={n.drift_time_s:.0f}\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*table.rows[0].point, THROUGHPUT, BASELINES])
        for row in table.rows:
            writer.writerow([*row.point.values(), f"{row.throughput_per_s:.6g}", " ".join(row.baselines)])


def _noise(head: str) -> HostNoise:
    return HostNoise(**{name: float(value) for name, value in (w.split("=") for w in head[len(NOISE) :].split())})


def _row(record: Mapping[str, str]) -> Row:
    if None in record or None in record.values():
        raise ValueError("a line has more or fewer columns than the first")
    throughput = float(record[THROUGHPUT])
    if not throughput > 0.0:
        raise ValueError(f"{THROUGHPUT} is {record[THROUGHPUT]}")
    point = {n: _value(text) for n, text in record.items() if n not in (THROUGHPUT, BASELINES, *IGNORED)}
    return Row(point=point, throughput_per_s=throughput, baselines=tuple(record.get(BASELINES, "").split()))


def _value(text: str) -> Value:
    if text in ("True", "False"):
        return text == "True"
    if text == "":
        return None
    return int(text) if text.lstrip("-").isdecimal() else text


def _with_server_hints(path: Path, rows: Sequence[Row]) -> list[Row]:
    def hint(streams: int) -> Row | None:
        wanted = {"NUM_STREAMS": streams, "INFERENCE_NUM_THREADS": 64, "batch_size": 1, "infer_requests": streams}
        wanted["ENABLE_CPU_PINNING"] = True
        return next((row for row in rows if row.point == wanted), None)

    by_speed: Callable[[Row], float] = lambda row: row.throughput_per_s  # noqa: E731
    throughput = max(filter(None, (hint(16), hint(32))), key=by_speed, default=None)
    latency = hint(1)
    if throughput is None or latency is None:
        raise InputError(f"{path} names no baselines", advice=f"mark them in a column {BASELINES}")
    marked = {id(throughput): ("THROUGHPUT",), id(latency): ("default", "LATENCY")}
    return [Row(point=r.point, throughput_per_s=r.throughput_per_s, baselines=marked.get(id(r), ())) for r in rows]


def _values(values: Iterable[Value]) -> tuple[tuple[bool, Value], ...]:
    """Returns values that are compared with True and 1 kept apart."""
    return tuple((isinstance(value, bool), value) for value in values)
