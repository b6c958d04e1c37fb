"""Replays: whole studies on tables, and what they are told from."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.virtual import SMALL, Virtual, calm, configs_of, crash, make_study
from tuner.bench.simulated.synthetic import hill
from tuner.bench.simulated.table import NOISES, HostNoise, Row, Table, null_table, write_table
from tuner.errors import InputError
from tuner.replay.recorded_table import read_recorded
from tuner.replay.studies import REPLAYED, ReplayOptions, StrategyName, Task, replay, replay_all, replay_tables
from tuner.report.replay import replay_json, replay_lines
from tuner.study.study import BaselineSpec

pytestmark = pytest.mark.slow

CALM = HostNoise(window_sd=0.005, drift_sd=0.01, compile_sd=0.002)


def surface(streams: int, requests: int) -> float:
    return 100.0 - 8.0 * abs(math.log2(streams) - 2) - 5.0 * abs(math.log2(requests / streams) - 1)


def baselines_of(streams: int, requests: int) -> tuple[str, ...]:
    return {(1, 1): ("default", "LATENCY"), (2, 2): ("THROUGHPUT",)}.get((streams, requests), ())


TABLE = Table(
    name="hill",
    rows=[
        Row(
            point={"NUM_STREAMS": s, "infer_requests": s * r},
            throughput_per_s=surface(s, s * r),
            baselines=baselines_of(s, s * r),
        )
        for s in (1, 2, 4, 8)
        for r in (1, 2, 4, 8)
    ],
    noise=CALM,
)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", REPLAYED)
def test_every_strategy_finds_the_best_of_a_calm_table(strategy: StrategyName) -> None:
    found = replay(Task(table=TABLE, noise=CALM, strategy=strategy, minutes=10.0, seed=1))
    assert found.is_tuned
    assert found.regret <= math.log(1.02)
    assert found.trials_to_near is not None
    assert found.path[-1][1] == pytest.approx(0.0, abs=0.02)
    truth = TABLE.gain_log(TABLE.best)
    assert found.claim == pytest.approx(truth, abs=0.05)
    if strategy != "plain":
        assert found.interval is not None
        assert found.interval_truth == pytest.approx(found.true_gain)
        assert found.wall_s <= 600.0


@pytest.mark.slow
def test_the_same_seed_replays_the_same_study_alone_and_in_two_processes() -> None:
    tasks = [Task(table=TABLE, noise=NOISES["noisy"], strategy="auto", minutes=2.0, seed=s) for s in (1, 2)]
    alone = replay_all(tasks, jobs=1)
    assert alone == replay_all(tasks, jobs=2)
    assert alone[0] != alone[1]


def test_in_a_null_study_nothing_is_gained_whatever_is_claimed() -> None:
    found = replay(
        Task(table=null_table(TABLE.reference, 10), noise=NOISES["quiet"], strategy="auto", minutes=2.0, seed=3)
    )
    assert (found.true_gain, found.regret, found.interval_truth) == (0.0, 0.0, 0.0)
    assert found.interval is not None, "it reached the confirmation"


def test_a_table_is_read_from_the_record_of_a_whole_search(tmp_path: Path) -> None:
    """24 configurations on a made-up host: speeds, baselines and noise come back."""
    study = Virtual(folder=tmp_path / "hill", space=SMALL, study=make_study(minutes=20.0))
    study.folder.mkdir()
    study.run()
    table = read_recorded(study.folder)
    assert (table.name, len(table.rows)) == ("hill", 25)
    assert set(table.baselines) == {"default", "LATENCY", "THROUGHPUT"}
    assert table.noise is not None
    assert table.noise.window_sd == pytest.approx(0.01, rel=0.6)
    truth = {
        (s, r, b): hill(c)
        for c in configs_of(SMALL)
        for s, r, b in [(c.properties["NUM_STREAMS"], c.infer_requests, c.batch_size)]
    }
    best = max(truth.values())
    for row in table.rows:
        if not row.baselines:
            point = (row.point["NUM_STREAMS"], row.point["infer_requests"], row.point["batch_size"])
            expected = truth[point] / best  # type: ignore[index]
            assert row.throughput_per_s / table.best.throughput_per_s == pytest.approx(expected, rel=0.1)


def test_a_failed_trial_and_a_reference_of_ones_own_do_not_keep_a_record_from_being_a_table(tmp_path: Path) -> None:
    own = {"today": BaselineSpec(properties={"NUM_STREAMS": 6}, infer_requests=12)}
    bench = calm()
    bench.failure_of = lambda config: crash() if config.properties.get("NUM_STREAMS") == 2 else None
    plan = make_study(minutes=20.0, sampler="random", baselines=own)
    study = Virtual(folder=tmp_path / "own", space=SMALL, study=plan, bench=bench)
    study.folder.mkdir()
    study.run()
    assert study.reference().ranking.reference == "today"
    assert set(read_recorded(study.folder).baselines) == {"default", "LATENCY", "THROUGHPUT"}


def test_a_folder_without_a_search_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no record of a whole search: its baselines were not measured") as error:
        read_recorded(tmp_path)
    assert "sampler: race" in error.value.advice
    study = Virtual(folder=tmp_path, space=SMALL)
    study.run()
    lines = study.log_path.read_text().splitlines(keepends=True)
    study.log_path.write_text("".join(line for line in lines if '"phase":"baselines"' in line or '"header"' in line))
    with pytest.raises(InputError, match="0 configurations were measured beside a reference, a table needs 2"):
        read_recorded(tmp_path)


# The command


def options(**given: object) -> ReplayOptions:
    defaults: dict[str, object] = {"minutes": (2.0,), "studies": 2, "strategies": "auto,plain", "noise": "recorded"}
    return ReplayOptions(**{"null_studies": 0, "jobs": 1, **defaults, **given})  # type: ignore[arg-type]


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    write_table(tmp_path / "hill.csv", TABLE)
    return tmp_path / "hill.csv"


@pytest.mark.slow
def test_false_positives_of_null_studies_stay_within_their_level() -> None:
    """Nearly all of 100 A/A studies on a noisy host reach the confirmation.

    Thousands are replayed for results/benchmarks.md.
    """
    copies = null_table(TABLE.reference, 20)
    tasks = [Task(table=copies, noise=NOISES["noisy"], strategy="auto", minutes=5.0, seed=s) for s in range(100)]
    found = replay_all(tasks, jobs=2)
    false_positives = sum(one.is_tuned for one in found)
    assert sum(one.interval is not None for one in found) >= 90
    assert false_positives <= 6, "at 2.5 % seven of a hundred come once in 160 times"


def test_every_table_budget_and_strategy_is_a_row_and_null_studies_are_counted(csv: Path) -> None:
    found = replay_tables([csv], options(minutes=(1.0, 2.0), null_studies=3))
    assert [(e.table, e.strategy, e.minutes, e.studies) for e in found.evaluations] == [
        ("hill", "auto", 1.0, 2),
        ("hill", "plain", 1.0, 2),
        ("hill", "auto", 2.0, 2),
        ("hill", "plain", 2.0, 2),
    ]
    assert [(e.studies, e.minutes) for e in found.null_studies] == [(3, 1.0), (3, 2.0)]
    text = [line for line in replay_lines(found) if isinstance(line, str)]
    assert any("of 3 claim a gain" in line for line in text)
    content = replay_json(found)
    assert content["evaluations"][0]["strategy"] == "auto"
    assert 0.0 < content["null_studies"][0]["upper_95_pct"] <= 100.0


def test_a_sample_of_a_table_keeps_its_baselines(csv: Path) -> None:
    (found,) = replay_tables([csv], options(rows=4, studies=1, strategies="random")).evaluations
    assert found.table == "hill-4"
    assert set(TABLE.sample(4, seed=0).baselines) == set(TABLE.baselines)
    assert len(TABLE.sample(4, seed=0).rows) == 6


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"strategies": "auto,cma"}, "--strategies cma: unknown"),
        ({"noise": "loud"}, "--noise loud: unknown"),
        ({"minutes": (2.0, math.inf)}, "--minutes inf"),
    ],
)
def test_unknown_options_are_refused_with_the_known_ones(csv: Path, given: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        replay_tables([csv], options(**given))


def test_a_table_without_noise_needs_the_option(tmp_path: Path) -> None:
    write_table(tmp_path / "x.csv", Table(name="x", rows=TABLE.rows))
    with pytest.raises(InputError, match="does not say how noisy"):
        replay_tables([tmp_path / "x.csv"], options())
    assert replay_tables([tmp_path / "x.csv"], options(noise="quiet", studies=1)).evaluations[0].noise == "quiet"
