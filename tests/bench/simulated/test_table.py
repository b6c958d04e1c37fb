"""Tables: read, written, asked for a row; and what a replay of one measures."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import pytest

from tests.bench.conftest import request_of
from tuner.bench.configuration import DeploymentConfig
from tuner.bench.measurement import Windows
from tuner.bench.protocol import SessionPlan
from tuner.bench.simulated.table import NOISES, HostNoise, Row, Table, null_table, read_table, write_table
from tuner.errors import InputError

STILL = HostNoise(window_sd=0.0, drift_sd=0.0, compile_sd=0.0)


def row(streams: int, requests: int, speed: float, *baselines: str) -> Row:
    return Row(point={"NUM_STREAMS": streams, "infer_requests": requests}, throughput_per_s=speed, baselines=baselines)


TABLE = Table(
    name="tiny",
    rows=[
        row(1, 1, 100.0, "default", "LATENCY"),
        row(2, 2, 150.0, "THROUGHPUT"),
        row(2, 4, 180.0),
        row(4, 4, 200.0),
    ],
    noise=NOISES["quiet"],
)


def config(requests: int | None = None, **properties: int | str) -> DeploymentConfig:
    return DeploymentConfig(device="CPU", properties=properties, infer_requests=requests)


@pytest.mark.parametrize(
    ("asked", "speed"),
    [
        (config(), 100.0),
        (config(PERFORMANCE_HINT="LATENCY"), 100.0),
        (config(PERFORMANCE_HINT="THROUGHPUT"), 150.0),
        (config(4, PERFORMANCE_HINT="THROUGHPUT"), 180.0),
        (config(4, NUM_STREAMS=4), 200.0),
        (config(1, NUM_STREAMS=4), 200.0),
        (config(3, NUM_STREAMS=3), 150.0),
        (config(64, NUM_STREAMS=64), 200.0),
    ],
)
def test_a_configuration_finds_its_row_as_a_device_would_cut_it_down(asked: DeploymentConfig, speed: float) -> None:
    assert TABLE.row_of(asked).throughput_per_s == speed


def test_gains_are_over_the_strongest_baseline_and_regrets_under_the_best() -> None:
    assert TABLE.reference.throughput_per_s == 150.0
    assert TABLE.gain_log(TABLE.best) == pytest.approx(math.log(200 / 150))
    assert TABLE.regret_log(TABLE.rows[2]) == pytest.approx(math.log(200 / 180))
    assert TABLE.parameters == {"NUM_STREAMS": (1, 2, 4), "infer_requests": (1, 2, 4)}


def test_a_replay_measures_the_tables_speed() -> None:
    bench = TABLE.bench(STILL, seed=0)
    session = bench.measure(request_of([config(4, NUM_STREAMS=4)], SessionPlan(phase="measure", seed=0, blocks=2)))
    (member,) = session.members
    assert isinstance(member, Windows)
    assert all(w.samples / w.duration_s == pytest.approx(200.0) for w in member.windows)
    assert member.effective.properties == {"NUM_STREAMS": "4"}
    assert member.effective.infer_requests == 4


def test_requests_that_are_cut_down_to_one_row_are_one_configuration() -> None:
    bench = TABLE.bench(STILL, seed=0)
    keys = {bench.resolve(config(r, NUM_STREAMS=s)).key for r, s in ((4, 4), (64, 4), (1, 8))}  # type: ignore[union-attr]
    assert len(keys) == 1


def test_copies_of_a_null_table_differ_in_their_key_alone() -> None:
    table = null_table(TABLE.reference, 5)
    assert len(table.rows) == 7
    default, hint = table.baselines["default"], table.baselines["THROUGHPUT"]
    assert (default is hint, default is table.baselines["LATENCY"]) == (False, True), "two baselines may differ"
    assert {table.gain_log(one) for one in table.rows} == {0.0}
    bench = table.bench(STILL, seed=0)
    keys = {bench.resolve(config(2, NUM_STREAMS=2, CPU_RUNTIME_CACHE_CAPACITY=i)).key for i in range(1, 6)}  # type: ignore[union-attr]
    assert len(keys) == 5


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "tiny.csv"
    write_table(path, TABLE)
    found = read_table(path)
    assert (found.name, list(found.rows), found.noise) == ("tiny", TABLE.rows, TABLE.noise)
    packed = tmp_path / "packed.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert list(read_table(packed).rows) == TABLE.rows


def test_a_table_of_a_server_knows_its_hints_by_their_streams(tmp_path: Path) -> None:
    head = (
        "NUM_STREAMS,INFERENCE_NUM_THREADS,batch_size,infer_requests,ENABLE_CPU_PINNING,throughput_per_s,latency_p50_ms"
    )
    lines = ["1,64,1,1,True,500,2", "16,64,1,16,True,900,2", "32,64,1,32,True,1000,2", "32,64,8,32,False,1500,2"]
    path = tmp_path / "server.csv"
    path.write_text("\n".join([head, *lines]))
    table = read_table(path)
    assert table.noise is None
    assert {name: one.throughput_per_s for name, one in table.baselines.items()} == {
        "default": 500.0,
        "LATENCY": 500.0,
        "THROUGHPUT": 1000.0,
    }
    assert "latency_p50_ms" not in table.parameters


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "has no rows"),
        (b"NUM_STREAMS,throughput_per_s\n", "has no rows"),
        (b"NUM_STREAMS\n1\n", "is no table"),
        (b"NUM_STREAMS,throughput_per_s\n1,fast\n", "is no table"),
        (b"NUM_STREAMS,throughput_per_s\n1,-3\n", "is no table"),
        (b"NUM_STREAMS,throughput_per_s\n1,100\n", "names no baselines"),
        (b"NUM_STREAMS,throughput_per_s,baselines\n1,100,THROUGHPUT\n", "names no baselines default, LATENCY"),
        (b"NUM_STREAMS,throughput_per_s\n1,100,7\n", "is no table"),
        (b"NUM_STREAMS,throughput_per_s,baselines\n1,100\n", "is no table"),
        (b"# noise: window_sd=x\nNUM_STREAMS,throughput_per_s\n1,100\n", "is no table"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_what_is_no_table_is_refused_with_the_reason(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_table(path)


def test_a_damaged_archive_or_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(b"a,b\n")[:-6])
    for name in ("x.csv.gz", "missing.csv"):
        with pytest.raises(InputError, match="cannot be read"):
            read_table(tmp_path / name)
